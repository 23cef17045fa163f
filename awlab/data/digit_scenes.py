"""Real digits on real photographs: a small detection set out of wheels.

The digits are handwritten ones of scikit-learn, the photographs those of `photo_patches`. Training,
validation and test scenes share neither a pixel of a photograph nor an image of a digit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from awlab.data.digits import load_digits
from awlab.data.image_set import Images
from awlab.data.objects import Objects, Target, target
from awlab.data.photo_patches import STRIPS, load_photographs
from awlab.data.randomness import Stream, fold, uniform
from awlab.data.scenes import SceneArray, SceneSet

_TEST_SEED = 0
_ATTEMPTS = 20
"""To find a place that is free, before a digit is left out."""
_INK = 0.25
"""Opacity from which a pixel belongs to a digit."""


@dataclass(frozen=True)
class Composition:
    """What scenes look like."""

    size: int = 96
    """Height and width, pixels."""
    classes: int = 10
    """The digits 0 ... classes - 1 occur."""
    most_digits: int = 4
    """In one scene; every number from 0 on is as likely as the others, 0 half as likely."""
    digit_sizes: tuple[int, int] = (20, 44)
    """Smallest and largest height of a digit's 8x8 image once enlarged, pixels."""


def load_digit_scenes(
    *,
    train_images: int,
    validation_images: int,
    test_images: int,
    composition: Composition = Composition(),
    split_seed: int = 0,
) -> SceneSet:
    """Paste digits of random size, colour and place on pieces of ten photographs.

    Args:
        train_images: Scenes to learn from.
        validation_images: Scenes to select by.
        test_images: Scenes to report on: the same ones whatever the seed.
        composition: What they look like.
        split_seed: Decides about training and validation scenes.

    Raises:
        DataError: When scikit-image or scikit-learn is not installed.
    """
    photographs = list(load_photographs(needed_by="digit_scenes").values())
    digits = load_digits(validation_fraction=0.2)

    def scenes(split: str, count: int, images: Images, seed: int) -> SceneArray:
        left, right = STRIPS[split]
        strips = [
            photo[:, round(left * photo.shape[1]) : round(right * photo.shape[1])]
            for photo in photographs
        ]
        stock = _Stock(strips, _by_class(images, composition.classes))
        keys = fold(seed, Stream.SCENES, list(STRIPS).index(split), torch.arange(count))
        pairs = [_scene(stock, composition, key, at) for at, key in enumerate(keys)]
        return SceneArray(
            torch.stack([image for image, _ in pairs]), Objects.of([one for _, one in pairs])
        )

    return SceneSet(
        train=scenes("train", train_images, digits.train, split_seed),
        val=scenes("val", validation_images, digits.val, split_seed),
        test=scenes("test", test_images, digits.test, _TEST_SEED),
        class_names=tuple(str(digit) for digit in range(composition.classes)),
    )


@dataclass(frozen=True)
class _Stock:
    """What the scenes of a split are made of."""

    photographs: Sequence[np.ndarray]
    """uint8, (H, W, 3) each."""
    digits: Sequence[Tensor]
    """By class; opacity, shape (images, 8, 8) each."""


def _by_class(images: Images, classes: int) -> list[Tensor]:
    opacity = images.read(range(len(images.labels)))[:, 0].float() / 255
    return [opacity[images.labels == label] for label in range(classes)]


def _scene(
    stock: _Stock, composition: Composition, key: Tensor, place: int
) -> tuple[Tensor, Target]:
    """Compose one scene: its image, uint8 (3, size, size), and its digits."""
    chance = _chance(key)
    canvas = _background(stock.photographs, composition.size, chance)
    digits = int(next(chance) * (composition.most_digits + 0.5) + 0.5)
    boxes: list[list[float]] = []
    labels: list[int] = []
    for _ in range(digits):
        label = int(next(chance) * composition.classes)
        of_class = stock.digits[label]
        opacity = _enlarged(of_class[int(next(chance) * len(of_class))], composition, chance)
        corner = _free_place(opacity, composition.size, boxes, chance)
        if corner is not None:
            boxes.append(_paste(canvas, opacity, corner, chance))
            labels.append(label + 1)
    image = (255 * canvas).round().to(torch.uint8)
    return image, target(boxes, labels, image_id=place)


def _chance(key: Tensor) -> Iterator[float]:
    """Numbers in [0, 1), without end."""
    block = 0
    while True:
        yield from uniform(fold(key, block, torch.arange(64)), Stream.SCENES).tolist()
        block += 1


def _background(photographs: Sequence[np.ndarray], size: int, chance: Iterator[float]) -> Tensor:
    """A square piece of a photograph, brought to size: (3, size, size) in [0, 1]."""
    photograph = photographs[int(next(chance) * len(photographs))]
    height, width = photograph.shape[:2]
    side = round(min(height, width) * (0.5 + 0.5 * next(chance)))
    top = int(next(chance) * (height - side + 1))
    left = int(next(chance) * (width - side + 1))
    piece = torch.from_numpy(photograph[top : top + side, left : left + side].copy())
    return _resized(piece.permute(2, 0, 1).float() / 255, (size, size))


def _enlarged(digit: Tensor, composition: Composition, chance: Iterator[float]) -> Tensor:
    """The opacity of a digit at a random size, without its empty rim: (h, w) in [0, 1]."""
    smallest, largest = composition.digit_sizes
    height = smallest + int(next(chance) * (largest - smallest + 1))
    width = round(height * (0.8 + 0.4 * next(chance)))
    opacity = _resized(digit[None], (height, width))[0]
    rows, columns = ((opacity > _INK).any(dim).nonzero().flatten() for dim in (1, 0))
    return opacity[int(rows[0]) : int(rows[-1]) + 1, int(columns[0]) : int(columns[-1]) + 1]


def _resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    scaled = F.interpolate(image[None], size, mode="bilinear", antialias=True, align_corners=False)
    return scaled[0].clamp(0, 1)


def _free_place(
    opacity: Tensor, size: int, taken: Sequence[Sequence[float]], chance: Iterator[float]
) -> tuple[int, int] | None:
    """Where a digit overlaps no other: its left upper corner, x and y; None if none is found."""
    height, width = opacity.shape
    if height > size or width > size:
        return None
    for _ in range(_ATTEMPTS):
        x = int(next(chance) * (size - width + 1))
        y = int(next(chance) * (size - height + 1))
        if all(
            x >= right or x + width <= left or y >= bottom or y + height <= top
            for left, top, right, bottom in taken
        ):
            return x, y
    return None


def _paste(
    canvas: Tensor, opacity: Tensor, corner: tuple[int, int], chance: Iterator[float]
) -> list[float]:
    """Draw a digit, light on dark and dark on light ground, and return its box."""
    (x, y), (height, width) = corner, opacity.shape
    ground = canvas[:, y : y + height, x : x + width]
    tint = torch.tensor([next(chance), next(chance), next(chance)])[:, None, None]
    dark = ground.mean() > 0.5
    ink = 0.25 * tint if dark else 1 - 0.25 * tint
    ground.copy_(ground + opacity * (ink - ground))
    return [x, y, x + width, y + height]
