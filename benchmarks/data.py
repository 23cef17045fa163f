"""Images per second of the CIFAR pipeline beside torchvision's own on the same cores.

    python benchmarks/data.py [--json] [--cores N] [--repeats N]

Both read CIFAR-sized images held in memory, crop them with 4 pixels of padding, mirror them,
perhaps rotate them by up to 15 degrees (bilinear), normalise them and yield batches of 128.
torchvision treats one Pillow image after the other, in as many worker processes as there are
cores; awlab treats whole batches as tensors, in one process with as many threads. The images are
random: what they show changes nothing about the time. The changes are compared with torchvision's
before anything is timed.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.transforms import functional as F

from awlab.data import Augment, ClassificationData, ImageArray, ImageSet
from awlab.data.randomness import Stream, below, fold, uniform

BATCH_SIZE = 128
PADDING = 4
MEAN, STD = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
RECIPES = {
    "crop, flip": Augment(PADDING, horizontal_flip=True),
    "crop, flip, rotate": Augment(PADDING, horizontal_flip=True, rotation=15.0),
}


class PillowImages(Dataset):
    """CIFAR as torchvision holds and prepares it."""

    def __init__(self, images: np.ndarray, augment: Augment) -> None:
        turn = transforms.RandomRotation(
            augment.rotation, interpolation=transforms.InterpolationMode.BILINEAR
        )
        self.images = images
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=PADDING),
                transforms.RandomHorizontalFlip(),
                *([turn] if augment.rotation else []),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.transform(Image.fromarray(self.images[index])), index % 100


def main() -> None:
    """Check, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.cores)
    rows = []
    for name, augment in RECIPES.items():
        check(augment)
        rows.append(measure(name, augment, cores=options.cores, repeats=options.repeats))
    if options.json:
        print(json.dumps({"environment": environment(options.cores), "rows": rows}, indent=2))
    else:
        show(rows, environment(options.cores))


def check(augment: Augment) -> None:
    """Compare one batch with torchvision's functions, given the same random numbers."""
    images = random_images(64)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    keys = fold(0, 0, torch.arange(len(images)))
    ours = augment(pixels, keys)
    offsets = 2 * PADDING + 1
    windows = below(keys, Stream.WINDOW, 2 * offsets**2).tolist()
    angles = ((uniform(keys, Stream.ROTATION) * 2 - 1) * augment.rotation).tolist()
    for image, out, window, angle in zip(pixels, ours, windows, angles, strict=True):
        rest, flip = divmod(window, 2)
        top, left = divmod(rest, offsets)
        theirs = F.crop(F.pad(image, [PADDING]), top, left, 32, 32)
        theirs = F.hflip(theirs) if flip else theirs
        if not augment.rotation:
            assert torch.equal(out, theirs)
            continue
        bilinear = transforms.InterpolationMode.BILINEAR
        turned = F.rotate(theirs.float(), angle, interpolation=bilinear)
        # Inside; at the border torchvision has its own way to fill in.
        inside = (slice(None), slice(6, -6), slice(6, -6))
        torch.testing.assert_close(out[inside], turned[inside], rtol=0, atol=0.05)


def measure(name: str, augment: Augment, *, cores: int, repeats: int) -> dict[str, Any]:
    """Time both pipelines in turn."""
    theirs = DataLoader(
        PillowImages(random_images(50 * BATCH_SIZE), augment),
        batch_size=BATCH_SIZE,
        shuffle=True,
        drop_last=True,
        num_workers=cores,
        persistent_workers=True,
    )
    ours = awlab_loader(random_images(390 * BATCH_SIZE), augment)
    for loader in (ours, theirs):
        images_per_second(loader)
    times = [(images_per_second(ours), images_per_second(theirs)) for _ in range(repeats)]
    awlab, pillow = (list(column) for column in zip(*times, strict=True))
    return {
        "augmentation": name,
        "awlab": summary(awlab),
        "torchvision": summary(pillow),
        "ratio": statistics.median(awlab) / statistics.median(pillow),
    }


def awlab_loader(images: np.ndarray, augment: Augment) -> Iterable[tuple[torch.Tensor, Any]]:
    """The training batches of a run without a trainer."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    split = ImageArray(pixels, torch.arange(len(pixels)) % 100)
    image_set = ImageSet(split, split, split, tuple(map(str, range(100))), MEAN, STD)
    return ClassificationData(image_set, batch_size=BATCH_SIZE, augment=augment).train_dataloader()


def random_images(count: int) -> np.ndarray:
    """Images of noise, uint8, shape (count, 32, 32, 3)."""
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def images_per_second(loader: Iterable[tuple[torch.Tensor, Any]]) -> float:
    """Speed of a whole pass."""
    begin = time.perf_counter()
    images = sum(len(x) for x, _ in loader)
    return images / (time.perf_counter() - begin)


def summary(speeds: list[float]) -> dict[str, float]:
    """Images per second."""
    return {"median": statistics.median(speeds), "min": min(speeds), "max": max(speeds)}


def environment(cores: int) -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": cores,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "pillow": Image.__version__,
    }


def speed(images: dict[str, float]) -> str:
    """Median and range."""
    return f"{images['median']:,.0f} ({images['min']:,.0f}-{images['max']:,.0f})"


def show(rows: list[dict[str, Any]], about: dict[str, Any]) -> None:
    """Print a table."""
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print(f"{'images/s, median (range)':<26}{'awlab':>28}{'torchvision':>28}{'ratio':>8}")
    for row in rows:
        cells = "".join(f"{speed(row[pipeline]):>28}" for pipeline in ("awlab", "torchvision"))
        print(f"{row['augmentation']:<26}{cells}{row['ratio']:>8.1f}")


if __name__ == "__main__":
    main()
