import pickle

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10

from awlab.data.cifar import load_cifar
from awlab.data.errors import DataError


def load(root, **options):
    return load_cifar(**{"kind": "cifar100", "root": root, "validation_fraction": 0.1, **options})


def rewrite(path, **changes):
    content = pickle.loads(path.read_bytes())
    path.write_bytes(pickle.dumps({**content, **changes}, protocol=4))


def test_cifar100_is_read_as_torchvision_reads_it(small_cifar100):
    data = load(small_cifar100)
    assert [len(split.labels) for split in (data.train, data.val, data.test)] == [360, 40, 100]
    assert data.class_names[7] == "class_7"
    assert len(data.class_names) == 100
    raw = pickle.loads((small_cifar100 / "cifar-100-python" / "test").read_bytes())
    # torchvision: vstack, reshape(-1, 3, 32, 32).
    expected = torch.from_numpy(np.vstack([raw["data"]]).reshape(-1, 3, 32, 32))
    assert torch.equal(data.test.read(range(100)), expected)
    assert data.test.labels.tolist() == raw["fine_labels"]
    assert data.mean == (0.5071, 0.4865, 0.4409)
    assert data.std == (0.2673, 0.2564, 0.2762)


def test_the_validation_split_is_held_out_of_the_training_images(small_cifar100):
    def rows(images):
        return {tuple(image.flatten().tolist()) for image in images.read(range(len(images.labels)))}

    first, again, other = (load(small_cifar100, split_seed=seed) for seed in (0, 0, 1))
    assert len(rows(first.train) | rows(first.val)) == 400
    assert rows(first.val) == rows(again.val)
    assert rows(first.val) != rows(other.val)
    assert torch.equal(first.test.read(range(100)), other.test.read(range(100)))


def write_cifar10(root, images=10):
    rng = np.random.default_rng(0)
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name in (*(f"data_batch_{part}" for part in range(1, 6)), "test_batch"):
        data = rng.integers(0, 256, (images, 3072), dtype=np.uint8)
        content = {"data": data, "labels": [index % 10 for index in range(images)]}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    names = {"label_names": [f"class_{label}" for label in range(10)]}
    (folder / "batches.meta").write_bytes(pickle.dumps(names, protocol=2))


def test_cifar10_joins_its_five_training_files(tmp_path):
    write_cifar10(tmp_path)
    data = load(tmp_path, kind="cifar10", validation_fraction=0.2)
    assert [len(split.labels) for split in (data.train, data.val, data.test)] == [40, 10, 10]
    assert data.train.labels.bincount().tolist() == [4] * 10
    assert data.class_names == tuple(f"class_{label}" for label in range(10))


def test_a_damaged_file_is_named(small_cifar100):
    path = small_cifar100 / "cifar-100-python" / "train"
    path.write_bytes(path.read_bytes()[:5000])
    message = rf"^{path} is damaged or not a file of CIFAR100: .*; delete it and fetch it again$"
    with pytest.raises(DataError, match=message):
        load(small_cifar100)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("train", {"data": [1, 2]}, "its 'data' are not an array of bytes"),
        ("test", {"data": np.zeros((100, 3072))}, "an array of 'f8' instead of integers"),
        ("test", {"data": np.zeros((100, 3072), np.int64)}, "are not an array of bytes"),
        ("test", {"data": np.zeros((100, 768), np.uint8)}, r"the shape \(100, 768\), not \(images"),
        ("test", {"data": np.zeros((0, 3072), np.uint8)}, r"the shape \(0, 3072\)"),
        ("test", {"fine_labels": [1, 2, 3]}, "its 'fine_labels' are not 100 labels"),
        ("test", {"fine_labels": None}, "its 'fine_labels' are not 100 labels"),
        ("test", {"fine_labels": [100] * 100}, r"a label is not one of 0 \.\.\. 99"),
        ("test", {"fine_labels": [0.5] * 100}, r"a label is not one of 0 \.\.\. 99"),
        ("meta", {"fine_label_names": ["cat", "dog"]}, "its 'fine_label_names' are not 100 names"),
    ],
)
def test_content_that_is_not_cifar_is_named(small_cifar100, file, changes, message):
    path = small_cifar100 / "cifar-100-python" / file
    rewrite(path, **changes)
    with pytest.raises(DataError, match=rf"{path} .*{message}"):
        load(small_cifar100)


def test_a_file_of_the_published_size_must_be_the_published_file(tmp_path, monkeypatch):
    monkeypatch.setattr("awlab.data.cifar.TEST_IMAGES", 10)
    write_cifar10(tmp_path)
    digest = CIFAR10.test_list[0][1]
    message = rf"test_batch .* its MD5 is [0-9a-f]{{32}}, of the published file it is {digest}"
    with pytest.raises(DataError, match=message):
        load(tmp_path, kind="cifar10")
