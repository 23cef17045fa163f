"""Images of a folder without classes, brought to the size that a network wants."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS

from awlab.data.errors import DataError
from awlab.data.image_files import DAMAGE


def read_folder(folder: Path, *, size: int, channels: int) -> tuple[list[Path], Tensor]:
    """Read all images of a folder, in the order of their names.

    The shorter side is resized to `size` and the centre cut out, so that nothing is distorted.

    Args:
        folder: Other files in it are passed over.
        size: Height and width, pixels.
        channels: 1 for grey, 3 for colour.

    Returns:
        The files, and their images, uint8 (N, channels, size, size).

    Raises:
        DataError: When the folder is missing or has no images, or an image cannot be read.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder")
    files = [file for file in sorted(folder.iterdir()) if file.suffix.lower() in IMG_EXTENSIONS]
    if not files:
        raise DataError(f"{folder} has no images ({', '.join(IMG_EXTENSIONS)})")
    mode = "L" if channels == 1 else "RGB"
    images = np.stack([_read(file, size, mode) for file in files])
    return files, torch.from_numpy(images).view(len(files), size, size, -1).permute(0, 3, 1, 2)


def _read(file: Path, size: int, mode: str) -> np.ndarray:
    try:
        with Image.open(file) as image:
            upright = ImageOps.exif_transpose(image).convert(mode)
    except DAMAGE as error:
        raise DataError(f"{file} cannot be read as an image: {error}") from error
    return np.asarray(ImageOps.fit(upright, (size, size), Image.Resampling.BICUBIC))
