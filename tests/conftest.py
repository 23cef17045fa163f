"""What the tests of all rooms share."""

import os
import pickle
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from awlab.data import SceneSet

pytest_plugins = ["tests.fault_ledger", "tests.fuzz_ledger"]


@pytest.fixture(scope="session", autouse=True)
def signals_as_in_a_terminal() -> None:
    """A job in the background of a script is started with these ignored, and hands that on."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder without anybody's keys and settings."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def neutral_environment(monkeypatch: pytest.MonkeyPatch, empty_home: Path) -> None:
    """Hide the caller's home, W&B settings and cluster job, here and in child processes."""
    launchers = ("WANDB_", "SLURM_", "PMI_", "TORCHELASTIC_")
    ranks = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "NETRC")
    for name in list(os.environ):
        if name.startswith(launchers) or name in ranks:
            monkeypatch.delenv(name)
    for name in ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(empty_home))


def striped(label: int, rng: np.random.Generator, *, height: int, width: int) -> np.ndarray:
    """An uint8 image (height, width, 3) from which a network can tell its label."""
    rows, columns = np.mgrid[:height, :width]
    stripes = np.sin(2 * np.pi * (rows * (label % 10) + columns * (label // 10)) / 32)
    noisy = 128 + 80 * stripes[:, :, None] + rng.normal(0, 20, (height, width, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


@pytest.fixture
def small_cifar100(tmp_path: Path) -> Path:
    """A `runtime.data_root` with CIFAR-100 in its real format: 400 training and 100 test images."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "data" / "cifar-100-python"
    folder.mkdir(parents=True)

    def write(name: str, content: dict[str, object]) -> None:
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))

    for name, images in (("train", 400), ("test", 100)):
        labels = [index % 100 for index in range(images)]
        pictures = np.stack([striped(label, rng, height=32, width=32) for label in labels])
        write(
            name,
            {
                "batch_label": f"{name}ing batch 1 of 1",
                "coarse_labels": [label // 5 for label in labels],
                "data": pictures.transpose(0, 3, 1, 2).reshape(images, 3072),
                "filenames": [f"{name}_{index:06d}.png" for index in range(images)],
                "fine_labels": labels,
            },
        )
    write(
        "meta",
        {
            "coarse_label_names": [f"coarse_{label}" for label in range(20)],
            "fine_label_names": [f"class_{label}" for label in range(100)],
        },
    )
    return folder.parent


@pytest.fixture
def small_image_folder(tmp_path: Path) -> Path:
    """A `runtime.data_root` with the data set `pets`: 3 classes, 8 images each to train, 4 to test.

    The layout is ImageNet's: `pets/train/CLASS/*` and `pets/val/CLASS/*`.
    """
    rng = np.random.default_rng(0)
    root = tmp_path / "data"
    for split, images in (("train", 8), ("val", 4)):
        for label, class_name in enumerate(("cat", "dog", "fox")):
            folder = root / "pets" / split / class_name
            folder.mkdir(parents=True)
            for index in range(images):
                image = striped(3 * label, rng, height=40 + 4 * index, width=56)
                ending = "png" if index % 2 else "jpg"
                Image.fromarray(image).save(folder / f"{class_name}_{index}.{ending}")
    return root


@pytest.fixture(scope="session")
def digit_scenes() -> "SceneSet":
    """Twelve scenes of 64 pixels to train, six to validate and eight to test; digits 0, 1, 2."""
    from awlab.data.digit_scenes import Composition, load_digit_scenes

    return load_digit_scenes(
        train_images=12,
        validation_images=6,
        test_images=8,
        composition=Composition(64, classes=3, most_digits=3, digit_sizes=(16, 32)),
    )


@pytest.fixture
def small_coco(tmp_path: Path, digit_scenes: "SceneSet") -> Path:
    """A `runtime.data_root` with `coco` in its real format: 12 images to train and 8 to test.

    The ids of its three categories, 0, 1 and 2, have gaps.
    """
    from awlab.data.write_coco import write_coco

    root = tmp_path / "data"
    for subset, scenes in (("train2017", digit_scenes.train), ("val2017", digit_scenes.test)):
        write_coco(scenes, root / "coco", subset, ("0", "1", "2"), category_ids=(2, 17, 90))
    return root


@pytest.fixture
def small_voc(tmp_path: Path, digit_scenes: "SceneSet") -> Path:
    """A `runtime.data_root` with `VOCdevkit` in its real format: 18 images to train, 8 to test."""
    from awlab.data.write_voc import write_voc

    root = tmp_path / "data"
    for subset, scenes in (
        ("VOC2007/trainval", digit_scenes.train),
        ("VOC2012/trainval", digit_scenes.val),
        ("VOC2007/test", digit_scenes.test),
    ):
        write_voc(scenes, root / "VOCdevkit", subset, ("0", "1", "2"))
    return root
