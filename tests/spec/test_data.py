import pytest

from awlab.spec.data import CIFAR, Augmentation, Data, Digits, ImageFolder, PhotoPatches
from awlab.spec.errors import SpecError
from awlab.spec.load import parse

FOLDER = {"kind": "image_folder", "folder": "birds", "classes": 200}


@pytest.mark.parametrize(
    ("data", "classes", "size", "channels"),
    [
        (CIFAR(kind="cifar10"), 10, 32, 3),
        (CIFAR(kind="cifar100"), 100, 32, 3),
        (Digits(), 10, 8, 1),
        (PhotoPatches(), 10, 32, 3),
        (ImageFolder(folder="birds", classes=200, size=64, resize=72), 200, 64, 3),
    ],
)
def test_what_the_network_sees(data, classes, size, channels):
    assert (data.num_classes, data.image_size, data.channels) == (classes, size, channels)


def test_digits_are_not_mirrored():
    assert Digits().augmentation == Augmentation(crop_padding=1, horizontal_flip=False)


@pytest.mark.parametrize("fraction", [0, 1, 1.5, -0.1])
def test_validation_is_a_part_of_the_training_images(fraction):
    message = "validation_fraction: must be (greater than 0.0|less than 1.0), not"
    with pytest.raises(SpecError, match=message):
        parse(Data, {"kind": "cifar10", "validation_fraction": fraction})


@pytest.mark.parametrize("folder", ["", "/absolute", "a\0b"])
def test_folders_are_relative(folder):
    with pytest.raises(SpecError, match="folder: must be text"):
        parse(Data, {**FOLDER, "folder": folder})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": 1}, "classes: must be at least 2, not 1"),
        ({"size": 300}, r"resize \(=256\) must be at least size \(=300\)"),
        ({"std": [1, 0, 1]}, "std.1: must be greater than 0.0, not 0"),
        ({"mean": [1, 0]}, r"mean: must be a list of 3 or more items, not \[1, 0\]"),
        (
            {"augmentation": {"scale": [1, 0.5]}},
            r"augmentation.scale: must be the smallest and the largest value, not \[1.0, 0.5\]",
        ),
        (
            {"augmentation": {"ratio": [2, 1]}},
            r"augmentation.ratio: must be the smallest and the largest value, not \[2.0, 1.0\]",
        ),
        ({"augmentation": {"scale": [0, 1]}}, "augmentation.scale.0: must be greater than 0.0"),
        ({"augmentation": {"scale": [1, 2]}}, "augmentation.scale.1: must be at most 1.0, not 2"),
    ],
)
def test_image_folders(change, message):
    assert parse(Data, FOLDER) == ImageFolder(folder="birds", classes=200)
    with pytest.raises(SpecError, match=message):
        parse(Data, {**FOLDER, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crop_padding": -1}, "crop_padding: must be at least 0, not -1"),
        ({"rotation": 181}, "rotation: must be at most 180.0, not 181"),
        ({"horizontal_flip": "yes"}, "horizontal_flip: must be true or false, not 'yes'"),
    ],
)
def test_augmentation(change, message):
    with pytest.raises(SpecError, match=f"augmentation.{message}"):
        parse(Data, {"kind": "cifar10", "augmentation": change})


def test_kinds_are_told_apart():
    with pytest.raises(SpecError, match=r"no data of kind 'cifar', .* Did you mean 'cifar10'\?"):
        parse(Data, {"kind": "cifar"})
