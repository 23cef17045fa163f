import re
from pathlib import Path

import pytest
import torch

from awlab import build, spec
from awlab.data import Augment, Crops
from awlab.data.image_files import ImageFiles
from awlab.spec.errors import InputError


def images_of(spec: spec.Data, root: Path):
    return build.build_data(spec, root=root, batch_size=7, seed=3, workers=0, download=False)


def test_cifar_settings_arrive(small_cifar100):
    found = spec.CIFAR(
        kind="cifar100",
        validation_fraction=0.2,
        augmentation=spec.Augmentation(crop_padding=4, rotation=15.0),
    )
    data = images_of(found, small_cifar100)
    assert (data.num_classes, data.train_size) == (100, 320)
    assert data.augment == Augment(crop_padding=4, horizontal_flip=True, rotation=15.0)


def test_digits_settings_arrive(tmp_path):
    data = images_of(
        spec.Digits(
            validation_fraction=0.5,
            split_seed=1,
            augmentation=spec.Augmentation(crop_padding=2, horizontal_flip=False, rotation=5.0),
        ),
        tmp_path,
    )
    assert (data.batch_size, data.seed, data.workers) == (7, 3, 0)
    assert (data.num_classes, data.train_size) == (10, 719)
    assert data.augment == Augment(crop_padding=2, horizontal_flip=False, rotation=5.0)
    other = images_of(spec.Digits(validation_fraction=0.5, split_seed=2), tmp_path)
    assert not torch.equal(data.image_set.train.labels, other.image_set.train.labels)


def test_photo_patches_settings_arrive(tmp_path):
    found = spec.PhotoPatches(train_patches=30, validation_patches=20, test_patches=10)
    first, second = (
        images_of(found.model_copy(update={"split_seed": seed}), tmp_path).image_set
        for seed in (0, 1)
    )
    assert [len(split.labels) for split in (first.train, first.val, first.test)] == [30, 20, 10]
    assert not torch.equal(first.train.read(range(30)), second.train.read(range(30)))


def test_image_folder_settings_arrive(small_image_folder):
    found = spec.ImageFolder(
        folder="pets",
        classes=3,
        size=8,
        resize=12,
        validation_fraction=0.25,
        mean=(0.1, 0.2, 0.3),
        augmentation=spec.FolderAugmentation(
            scale=(0.5, 0.9), ratio=(1.0, 1.0), horizontal_flip=False
        ),
    )
    data = images_of(found, small_image_folder)
    assert (data.train_size, data.mean) == (18, (0.1, 0.2, 0.3))
    assert data.class_names == ("cat", "dog", "fox")
    assert data.augment == Augment()
    assert isinstance(data.image_set.train, ImageFiles)
    assert data.image_set.train.crops == Crops(8, 12, (0.5, 0.9), (1.0, 1.0))
    assert next(iter(data.val_dataloader()))[0].shape == (6, 3, 8, 8)


@pytest.mark.parametrize(
    ("found", "folder"),
    [
        (spec.CIFAR(kind="cifar10"), "cifar-10-batches-py"),
        (spec.CIFAR(kind="cifar100"), "cifar-100-python"),
        (spec.ImageFolder(folder="pets", classes=2), "pets"),
    ],
)
def test_missing_images_are_bad_input(tmp_path, found, folder):
    with pytest.raises(InputError, match=re.escape(str(tmp_path / folder))):
        images_of(found, tmp_path)
