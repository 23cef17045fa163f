import numpy as np
import pytest
import torch
from PIL import Image

from awlab.data.errors import DataError
from awlab.data.loose_images import read_folder


def save(path, pixels, **options):
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)


def test_images_come_in_the_order_of_their_names_and_other_files_are_passed_over(tmp_path):
    for name, value in {"b.png": 200, "a.PNG": 100, "c.bmp": 50}.items():
        save(tmp_path / name, np.full((6, 6, 3), value))
    (tmp_path / "notes.txt").write_text("not an image")
    files, images = read_folder(tmp_path, size=6, channels=3)
    assert [file.name for file in files] == ["a.PNG", "b.png", "c.bmp"]
    assert images.shape == (3, 3, 6, 6)
    assert images.dtype == torch.uint8
    assert images[:, 0, 0, 0].tolist() == [100, 200, 50]


def test_the_centre_is_cut_out_undistorted(tmp_path):
    pixels = np.zeros((4, 12, 3))
    pixels[:, 4:8] = 255  # the central square
    save(tmp_path / "wide.png", pixels)
    _, images = read_folder(tmp_path, size=4, channels=3)
    assert (images == 255).all()


def test_grey_networks_see_grey(tmp_path):
    save(tmp_path / "red.png", np.full((4, 4, 3), (255, 0, 0)))
    _, images = read_folder(tmp_path, size=4, channels=1)
    assert images.shape == (1, 1, 4, 4)
    assert images.unique().tolist() == [76]  # 0.299 of 255


def test_channels_stay_channels(tmp_path):
    save(tmp_path / "red.png", np.full((4, 4, 3), (255, 0, 0)))
    _, images = read_folder(tmp_path, size=4, channels=3)
    assert images.amax((0, 2, 3)).tolist() == [255, 0, 0]


def test_the_orientation_that_a_camera_noted_is_obeyed(tmp_path):
    pixels = np.zeros((4, 4, 3))
    pixels[0] = 255  # bright above; turned by 90 degrees clockwise it is bright on the right
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tmp_path / "turned.png", pixels, exif=exif)
    _, images = read_folder(tmp_path, size=4, channels=3)
    assert (images[..., 3] == 255).all()
    assert (images[..., :3] == 0).all()


def test_an_unreadable_image_is_named(tmp_path):
    save(tmp_path / "good.png", np.zeros((4, 4, 3)))
    whole = (tmp_path / "good.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"half\.png cannot be read as an image"):
        read_folder(tmp_path, size=4, channels=3)


def test_an_empty_folder(tmp_path):
    with pytest.raises(DataError, match=r"has no images \(\.jpg, "):
        read_folder(tmp_path, size=4, channels=3)


def test_a_missing_folder(tmp_path):
    with pytest.raises(DataError, match="nowhere is not a folder"):
        read_folder(tmp_path / "nowhere", size=4, channels=3)
