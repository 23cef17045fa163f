"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) from the published Python files."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torchvision.datasets import CIFAR10, CIFAR100

from awlab.data.cifar_archive import fetch_cifar
from awlab.data.cifar_file import read_cifar_file
from awlab.data.errors import DataError
from awlab.data.image_set import ImageArray, ImageSet, hold_out

TRAIN_IMAGES = 50_000
TEST_IMAGES = 10_000


@dataclass(frozen=True)
class _CIFAR:
    published: type[CIFAR10]
    """torchvision knows address, names and checksums; its reader runs whatever a pickle says."""
    label_key: str
    classes: int
    mean: tuple[float, float, float]
    """Of the 50,000 training images."""
    std: tuple[float, float, float]

    def damaged(self, path: Path, why: str) -> DataError:
        return DataError(
            f"{path} is damaged or not a file of {self.published.__name__}: {why}; delete it and "
            "fetch it again"
        )


_KINDS = {
    "cifar10": _CIFAR(
        CIFAR10, "labels", 10, mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616)
    ),
    # Statistics as in weiaicunzai/pytorch-cifar100, conf/global_settings.py.
    "cifar100": _CIFAR(
        CIFAR100, "fine_labels", 100, mean=(0.5071, 0.4865, 0.4409), std=(0.2673, 0.2564, 0.2762)
    ),
}


def load_cifar(
    kind: Literal["cifar10", "cifar100"],
    *,
    root: Path,
    validation_fraction: float,
    split_seed: int = 0,
    download: bool = False,
) -> ImageSet:
    """Read CIFAR-10 or CIFAR-100.

    A file with as many images as the published one must have the published checksum. A file with
    another number of images is somebody's own selection: its format alone is checked.

    Args:
        kind: Which.
        root: Folder that holds `cifar-10-batches-py` or `cifar-100-python`, or the archive.
        validation_fraction: Part of the training images that is held out.
        split_seed: Decides which.
        download: Whether missing files may be downloaded to `root`.

    Raises:
        DataError: When files are missing and cannot or may not be downloaded, or when one is
            damaged; the message names them.
    """
    cifar = _KINDS[kind]
    published = cifar.published
    fetch_cifar(published, root, download=download)
    folder = root / published.base_folder
    class_names = _class_names(cifar, folder / published.meta["filename"])
    images = _read_all(cifar, folder, published.train_list, published_images=TRAIN_IMAGES)
    train, val = hold_out(images.labels, validation_fraction, seed=split_seed)
    return ImageSet(
        train=images.subset(train),
        val=images.subset(val),
        test=_read_all(cifar, folder, published.test_list, published_images=TEST_IMAGES),
        class_names=class_names,
        mean=cifar.mean,
        std=cifar.std,
    )


def _class_names(cifar: _CIFAR, path: Path) -> tuple[str, ...]:
    key = cifar.published.meta["key"]
    names = _parse(cifar, path, path.read_bytes()).get(key)
    if not isinstance(names, list) or len(names) != cifar.classes:
        raise cifar.damaged(path, f"its {key!r} are not {cifar.classes} names")
    return tuple(str(name) for name in names)


def _read_all(
    cifar: _CIFAR, folder: Path, files: list[list[str]], *, published_images: int
) -> ImageArray:
    parts = []
    for name, md5 in files:
        path = folder / name
        content = path.read_bytes()
        part = _images(cifar, path, _parse(cifar, path, content))
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if len(part.labels) == published_images // len(files) and found != md5:
            raise cifar.damaged(path, f"its MD5 is {found}, of the published file it is {md5}")
        parts.append(part)
    return ImageArray(
        torch.cat([part.pixels for part in parts]), torch.cat([part.labels for part in parts])
    )


def _parse(cifar: _CIFAR, path: Path, content: bytes) -> dict[str, Any]:
    try:
        return read_cifar_file(content)
    except ValueError as error:
        raise cifar.damaged(path, str(error)) from error


def _images(cifar: _CIFAR, path: Path, content: dict[str, Any]) -> ImageArray:
    pixels = content.get("data")
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
        raise cifar.damaged(path, "its 'data' are not an array of bytes")
    if pixels.ndim != 2 or len(pixels) == 0 or pixels.shape[1] != 3 * 32 * 32:
        raise cifar.damaged(path, f"its 'data' have the shape {pixels.shape}, not (images, 3072)")
    labels = content.get(cifar.label_key)
    if not isinstance(labels, list | np.ndarray) or len(labels) != len(pixels):
        raise cifar.damaged(path, f"its {cifar.label_key!r} are not {len(pixels)} labels")
    classes = [label for label in labels if label in range(cifar.classes)]
    if len(classes) != len(labels):
        raise cifar.damaged(path, f"a label is not one of 0 ... {cifar.classes - 1}")
    return ImageArray(
        torch.from_numpy(pixels.reshape(-1, 3, 32, 32).copy()),
        torch.tensor([int(label) for label in classes]),
    )
