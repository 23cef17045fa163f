"""A heat map over an image."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

SIDE = 208
"""Longer side of a picture, pixels."""
OPACITY = 0.76
"""Of the strongest heat on an image."""

# OKLab (Ottosson 2020): to cube roots of cone responses, then to linear sRGB.
_TO_CONES = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


@cache
def heat_colours() -> Pixels:
    """256 colours (256, 3), from dark violet over red to pale yellow.

    Lightness rises evenly in OKLab, so that equal steps of strength look equal and the order
    survives grey print and colour blindness.
    """
    strength = np.linspace(0, 1, 256)
    lightness = 0.30 + 0.64 * strength
    chroma = 0.15 + 0.055 * np.sin(np.pi * strength)
    hue = np.radians(295 + 170 * strength)
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1)
    linear = np.clip((lab @ _TO_CONES.T) ** 3 @ _TO_RGB.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255 * encoded).astype(np.uint8)


def picture(image: Pixels, side: int = SIDE) -> Image.Image:
    """Enlarge or shrink an image (H, W, 3) until its longer side has `side` pixels."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return Image.fromarray(image).resize(size, Image.Resampling.LANCZOS)


def overlay(image: Pixels, cam: NDArray[np.float32], side: int = SIDE) -> Image.Image:
    """Lay a heat map over an image: the stronger the evidence, the more it covers.

    Args:
        image: (H, W, 3).
        cam: (H, W) or coarser, in [0, 1].
        side: Longer side of the result, pixels.
    """
    base = picture(image, side)
    heat = Image.fromarray(np.asarray(cam, np.float32)).resize(base.size, Image.Resampling.BICUBIC)
    strength = np.clip(np.asarray(heat), 0, 1)
    colours = heat_colours()[np.round(255 * strength).astype(np.uint8)]
    opacity = OPACITY * strength[..., None]
    grey = np.asarray(base.convert("L"), np.float32)[..., None]
    return Image.fromarray(np.round((1 - opacity) * grey + opacity * colours).astype(np.uint8))
