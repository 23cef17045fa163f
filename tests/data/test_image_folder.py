import shutil

import pytest

from awlab.data.errors import DataError
from awlab.data.image_files import Crops
from awlab.data.image_folder import load_image_folder


def load(root, **options):
    defaults = {"classes": 3, "crops": Crops(16, 20), "validation_fraction": 0.25}
    statistics = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    return load_image_folder(root / "pets", **{**defaults, **statistics, **options})


def paths(images):
    return [path.decode() for path in images.paths]


def test_images_are_listed_by_class(small_image_folder):
    data = load(small_image_folder)
    assert data.class_names == ("cat", "dog", "fox")
    assert [len(split.labels) for split in (data.train, data.val, data.test)] == [18, 6, 12]
    assert data.val.labels.tolist() == [0, 0, 1, 1, 2, 2]
    for split, folder in ((data.train, "train"), (data.val, "train"), (data.test, "val")):
        for path, label in zip(paths(split), split.labels.tolist(), strict=True):
            assert f"/pets/{folder}/{data.class_names[label]}/" in path
    assert not set(paths(data.train)) & set(paths(data.val))


def test_the_split_seed_decides_what_is_held_out(small_image_folder):
    held = [paths(load(small_image_folder, split_seed=seed).val) for seed in (0, 0, 1)]
    assert held[0] == held[1]
    assert held[0] != held[2]


def test_a_missing_folder_is_explained(small_image_folder, tmp_path):
    message = r"pets must hold train/CLASS/\* and val/CLASS/\*: .*pets/train is missing"
    with pytest.raises(DataError, match=message):
        load(tmp_path)
    shutil.rmtree(small_image_folder / "pets" / "val")
    with pytest.raises(DataError, match="pets/val is missing"):
        load(small_image_folder)


def test_an_empty_folder_is_explained(tmp_path):
    for split in ("train", "val"):
        (tmp_path / "pets" / split).mkdir(parents=True)
    with pytest.raises(DataError, match="pets/train has no class folders"):
        load(tmp_path)


def test_another_number_of_classes_is_refused(small_image_folder):
    message = r"3 class folders in train and 3 in val, with data\.classes=1000$"
    with pytest.raises(DataError, match=message):
        load(small_image_folder, classes=1000)


def test_classes_that_differ_are_named(small_image_folder):
    pets = small_image_folder / "pets"
    (pets / "val" / "fox").rename(pets / "val" / "wolf")
    message = r"data\.classes=3; 1 only in train: fox; 1 only in val: wolf"
    with pytest.raises(DataError, match=message):
        load(small_image_folder)
    for number in range(8):
        (pets / "train" / f"class_{number}").mkdir()
    eight = ", ".join(f"class_{number}" for number in range(8))
    found = "11 class folders in train and 3 in val"
    message = f"{found}.*; 9 only in train: {eight} and 1 more; 1 only in val: wolf$"
    with pytest.raises(DataError, match=message):
        load(small_image_folder)


def test_a_class_without_images_is_named(small_image_folder):
    for image in (small_image_folder / "pets" / "val" / "dog").iterdir():
        image.unlink()
    (small_image_folder / "pets" / "val" / "dog" / "notes.txt").write_text("no image")
    message = r"pets/val has no images \(\.jpg, .*\) of 1 classes: dog"
    with pytest.raises(DataError, match=message):
        load(small_image_folder)
