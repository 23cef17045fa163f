import math

import pytest
import torch
from torchvision.transforms import v2

from awlab.data.augmentation import Augment, Normalize, rotate
from awlab.data.randomness import Stream, below, fold, uniform

RECIPES = [
    Augment(crop_padding=4),
    Augment(horizontal_flip=True),
    Augment(crop_padding=2, horizontal_flip=True),
    Augment(crop_padding=4, horizontal_flip=True, rotation=15.0),
]


def images(count=64, height=12, width=10, channels=3):
    generator = torch.Generator().manual_seed(0)
    size = (count, channels, height, width)
    return torch.randint(0, 256, size, generator=generator, dtype=torch.uint8)


def test_crop_and_flip_equal_their_definition():
    batch, keys = images(), fold(0, 0, torch.arange(64))
    changed = Augment(crop_padding=3, horizontal_flip=True)(batch, keys)
    assert changed.dtype == torch.uint8
    for image, out, window in zip(batch, changed, below(keys, Stream.WINDOW, 98), strict=True):
        rest, flip = divmod(window.item(), 2)
        top, left = divmod(rest, 7)
        padded = torch.zeros(3, 12 + 6, 10 + 6, dtype=torch.uint8)
        padded[:, 3:15, 3:13] = image
        expected = padded[:, top : top + 12, left : left + 10]
        assert torch.equal(out, expected.flip(2) if flip else expected)


def test_crops_reach_every_offset_and_half_of_the_images_are_mirrored():
    one = images(1).expand(4000, -1, -1, -1)
    changed = Augment(crop_padding=1, horizontal_flip=True)(one, fold(0, 0, torch.arange(4000)))
    kinds, counts = changed.flatten(1).unique(dim=0, return_counts=True)
    assert len(kinds) == 9 * 2
    assert counts.min() > 4000 / 18 / 2


def bilinear(image, y, x):
    """The value of one channel at (y, x), zero outside: the literal definition."""
    total = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                weight = (1 - abs(y - row)) * (1 - abs(x - column))
                total += weight * image[row, column].item()
    return total


def test_rotation_equals_its_definition():
    image, angle = images(1, 6, 5, 1).float(), 0.4
    rotated = rotate(image, torch.tensor([angle], dtype=torch.float64))[0, 0]
    for row in range(6):
        for column in range(5):
            y, x = row - 2.5, column - 2.0
            from_x = math.cos(angle) * x - math.sin(angle) * y
            from_y = math.sin(angle) * x + math.cos(angle) * y
            expected = bilinear(image[0, 0], from_y + 2.5, from_x + 2.0)
            assert rotated[row, column].item() == pytest.approx(expected, abs=1e-3)


def test_rotation_equals_torchvision_inside_the_image():
    batch = images(4, 16, 16).float()
    degrees = torch.tensor([0.0, 15.0, -40.0, 90.0], dtype=torch.float64)
    ours = rotate(batch, torch.deg2rad(degrees))
    for image, out, angle in zip(batch, ours, degrees.tolist(), strict=True):
        bilinear_mode = v2.InterpolationMode.BILINEAR
        theirs = v2.functional.rotate(image, angle, interpolation=bilinear_mode)
        torch.testing.assert_close(out[:, 5:11, 5:11], theirs[:, 5:11, 5:11], rtol=0, atol=2e-3)


def test_angles_are_uniform_within_the_limit():
    keys = fold(0, 0, torch.arange(64))
    batch = images().float()
    turn = (uniform(keys, Stream.ROTATION) * 2 - 1) * math.radians(30)
    assert torch.equal(Augment(rotation=30.0)(batch, keys), rotate(batch, turn))


@pytest.mark.parametrize("augment", RECIPES)
def test_an_image_does_not_depend_on_its_batch(augment):
    batch, indices = images(), torch.arange(64)
    normalize = Normalize((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    whole = normalize(augment(batch, fold(7, 3, indices)))
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    for size in (1, 3, 17):
        parts = [normalize(augment(batch[i], fold(7, 3, i))) for i in order.split(size)]
        assert torch.equal(torch.cat(parts), whole[order])


@pytest.mark.parametrize("augment", RECIPES)
def test_epochs_and_seeds_change_images(augment):
    batch, indices = images(), torch.arange(64)
    first, epoch, seed = (augment(batch, fold(s, e, indices)) for s, e in ((0, 0), (0, 1), (1, 0)))
    assert not torch.equal(first, epoch)
    assert not torch.equal(first, seed)


def test_no_augmentation_is_the_identity():
    batch = images()
    assert torch.equal(Augment()(batch, fold(0, 0, torch.arange(64))), batch)


def test_normalize_equals_torchvision():
    mean, std = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
    expected = v2.functional.normalize(images() / 255, list(mean), list(std))
    torch.testing.assert_close(Normalize(mean, std)(images()), expected)
    assert Normalize(mean, std)(images()).dtype == torch.float32


@pytest.mark.gpu
@pytest.mark.parametrize("augment", RECIPES)
def test_a_gpu_gives_the_same_images(augment):
    batch, keys = images(), fold(0, 0, torch.arange(64))
    there = augment(batch.cuda(), fold(0, 0, torch.arange(64, device="cuda"))).cpu()
    torch.testing.assert_close(there, augment(batch, keys), rtol=0, atol=0.02)
