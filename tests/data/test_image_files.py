import contextlib
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms.functional import pil_to_tensor

from awlab.data import image_files
from awlab.data.errors import DataError
from awlab.data.image_files import Crops, ImageFiles
from awlab.data.randomness import Stream, fold


@pytest.fixture
def files(small_image_folder):
    paths = sorted((small_image_folder / "pets" / "train" / "cat").iterdir())
    return ImageFiles.of([(str(path), 0) for path in paths], Crops(size=24, resize=32))


def test_without_keys_the_centre_is_read_as_torchvision_reads_it(files):
    recipe = transforms.Compose([transforms.Resize(32), transforms.CenterCrop(24)])
    for index, path in enumerate(files.paths.tolist()):
        with Image.open(path) as image:
            expected = pil_to_tensor(recipe(image.convert("RGB")))
        assert torch.equal(files.read([index])[0], expected)
    assert files.read([0, 1, 2]).shape == (3, 3, 24, 24)
    assert files.read([0]).dtype == torch.uint8


def test_with_keys_crops_are_those_of_torchvision_under_that_seed(files):
    keys = fold(0, 0, torch.arange(8))
    crops = files.read(range(8), keys)
    recipe = transforms.RandomResizedCrop(24, (0.08, 1.0), (3 / 4, 4 / 3))
    seeds = fold(keys, Stream.RESIZED_CROP).tolist()
    for path, seed, crop in zip(files.paths.tolist(), seeds, crops, strict=True):
        torch.manual_seed(seed)
        with Image.open(path) as image:
            assert torch.equal(crop, pil_to_tensor(recipe(image)))


def test_an_image_does_not_depend_on_its_batch_and_no_state_is_touched(files):
    keys = fold(0, 0, torch.arange(8))
    torch.manual_seed(5)
    together = files.read([0, 1, 2, 3], keys[:4])
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1))
    assert torch.equal(files.read([2], keys[2:3])[0], together[2])
    assert not torch.equal(files.read([2], fold(0, 1, torch.tensor([2])))[0], together[2])


def test_gpus_are_not_seeded_and_the_crop_is_made_once(files, monkeypatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", pytest.fail)  # As torch.manual_seed would.
    files.read([0, 1], fold(0, 0, torch.arange(2)))
    monkeypatch.setattr(image_files, "RandomResizedCrop", pytest.fail)
    files.read([2, 3], fold(0, 0, torch.arange(2)))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "I;16", "CMYK"])
def test_every_kind_of_picture_becomes_three_channels(tmp_path, mode):
    path = tmp_path / ("x.tif" if mode in ("CMYK", "I;16") else "x.png")
    Image.fromarray(np.full((40, 30, 3), 90, np.uint8)).convert("L").convert(mode).save(path)
    assert ImageFiles.of([(str(path), 0)], Crops(8, 8)).read([0]).shape == (1, 3, 8, 8)


@pytest.mark.fault
def test_a_damaged_image_is_named(files):
    path = Path(files.paths[5].decode())
    content = path.read_bytes()
    for damaged in (b"", b"not an image", content[: len(content) // 2]):
        path.write_bytes(damaged)
        message = rf"^{path} \(image 5 of its split\) cannot be read: "
        with pytest.raises(DataError, match=message):
            files.read([4, 5])


@pytest.mark.fault
def test_a_missing_image_is_named(files, tmp_path):
    gone = ImageFiles.of([(str(tmp_path / "gone.png"), 0)], files.crops)
    with pytest.raises(DataError, match=r"gone\.png \(image 0 of its split\) cannot be read"):
        gone.read([0])


@pytest.mark.filterwarnings("ignore")
def test_no_flipped_bits_raise_anything_else(files):
    chance = random.Random(0)
    for index in range(4):
        path = Path(files.paths[index].decode())
        content = path.read_bytes()
        for _ in range(50):
            damaged = bytearray(content)
            for _ in range(3):
                damaged[chance.randrange(200)] = chance.randrange(256)
            path.write_bytes(damaged)
            with contextlib.suppress(DataError):
                assert files.read([index]).shape == (1, 3, 24, 24)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resize": 20}, r"data\.resize \(=20\) must be at least data\.size \(=24\)"),
        ({"scale": (0.5, 0.1)}, r"augmentation\.scale \(=0\.5, 0\.1\) must be two positive numb"),
        ({"scale": (0.5, 1.5)}, r"data\.augmentation\.scale \(=0\.5, 1\.5\) must be at most 1"),
        ({"ratio": (0.0, 1.0)}, r"augmentation\.ratio \(=0\.0, 1\.0\) must be two positive numb"),
    ],
)
def test_impossible_crops_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        Crops(**{"size": 24, "resize": 32, **options})
