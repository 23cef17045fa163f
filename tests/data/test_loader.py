import multiprocessing
import os
from pathlib import Path

import pytest
import torch

from awlab.data.augmentation import Augment, Normalize
from awlab.data.errors import DataError
from awlab.data.image_files import Crops, ImageFiles
from awlab.data.image_set import ImageArray
from awlab.data.loader import Loader
from awlab.data.randomness import fold
from awlab.data.sampling import EvaluationBatches, Share, TrainingBatches

CPU = torch.device("cpu")
NORMALIZE = Normalize((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
AUGMENT = Augment(crop_padding=2, horizontal_flip=True, rotation=20.0)


@pytest.fixture
def array():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (23, 3, 8, 8), generator=generator, dtype=torch.uint8)
    return ImageArray(pixels, torch.arange(23) % 5)


@pytest.fixture
def files(small_image_folder):
    paths = sorted((small_image_folder / "pets" / "train").rglob("*.*"))
    crops = Crops(size=16, resize=20)
    return ImageFiles.of([(str(path), label // 8) for label, path in enumerate(paths)], crops)


def training(images, *, start=0, batch_size=5, workers=0, augment=AUGMENT):
    batches = TrainingBatches(
        len(images.labels), share=Share(batch_size), seed=1, position=lambda: start
    )
    return Loader(
        images,
        batches,
        normalize=NORMALIZE,
        augment=augment,
        seed=1,
        device=CPU,
        workers=workers,
    )


def evaluation(images, workers=0):
    batches = EvaluationBatches(len(images.labels), batch_size=10)
    return Loader(images, batches, normalize=NORMALIZE, device=CPU, workers=workers)


def test_training_batches_are_augmented_and_normalised(array):
    loader = training(array)
    assert len(loader) == 4
    for (x, y), batch in zip(loader, loader.batches, strict=True):
        indices = torch.tensor(batch.indices)
        keys = fold(1, batch.epoch, indices)
        assert torch.equal(x, NORMALIZE(AUGMENT(array.pixels[indices], keys)))
        assert x.dtype == torch.float32
        assert y.tolist() == array.labels[indices].tolist()


def test_evaluation_batches_are_the_plain_images(array):
    pairs = list(evaluation(array))
    assert [len(y) for _, y in pairs] == [8, 8, 7]
    assert torch.equal(torch.cat([x for x, _ in pairs]), NORMALIZE(array.pixels))
    assert torch.cat([y for _, y in pairs]).tolist() == array.labels.tolist()


@pytest.mark.parametrize("workers", [0, 2])
def test_files_are_read_alike_with_any_workers(files, workers):
    loader = training(files, workers=workers, augment=Augment(horizontal_flip=True))
    for _ in range(2):
        for (x, y), batch in zip(loader, loader.batches, strict=True):
            keys = fold(1, batch.epoch, torch.tensor(batch.indices))
            pixels = files.read(batch.indices, keys)
            assert torch.equal(x, NORMALIZE(Augment(horizontal_flip=True)(pixels, keys)))
            assert y.tolist() == files.labels[batch.indices].tolist()
    (x, _), *_ = evaluation(files, workers)
    assert torch.equal(x, NORMALIZE(files.read(range(8))))


@pytest.mark.fault
@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_is_one_clear_error(files, workers):
    path = files.paths[3].decode()
    Path(path).write_bytes(b"not an image")
    with pytest.raises(DataError) as error:
        list(evaluation(files, workers))
    message = str(error.value)
    assert message.startswith(f"{path} (image 3 of its split) cannot be read: ")
    assert "\n" not in message


def test_what_each_worker_has_read_last_is_known(files):
    loader = evaluation(files, workers=2)
    assert [len(labels) for _, labels in loader] == [8, 8, 8]
    workers = {child.pid or 0 for child in multiprocessing.active_children()}
    found = sorted(loader.read_by(worker) for worker in workers if loader.read_by(worker))
    names = [f"{os.fsdecode(path)} (image {k} of its split)" for k, path in enumerate(files.paths)]
    assert found == sorted([names[8:16], names[16:]])
    assert loader.read_by(os.getpid()) == evaluation(files).read_by(os.getpid()) == []


def test_the_generator_of_dropout_is_left_alone(array):
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    list(training(array))
    assert torch.equal(torch.rand(3), expected)


def test_iteration_begins_at_the_position(array):
    full = list(training(array))
    rest = list(training(array, start=2))
    assert len(rest) == 2
    assert len(training(array, start=2)) == 4
    for (x, y), (expected_x, expected_y) in zip(rest, full[2:], strict=True):
        assert torch.equal(x, expected_x)
        assert torch.equal(y, expected_y)


def test_it_has_no_state_of_its_own(array):
    loader = training(array)
    list(loader)
    assert loader.state_dict() == {}
    loader.load_state_dict({})
    assert len(list(loader)) == 4


@pytest.mark.gpu
def test_batches_come_out_on_the_gpu(array, files):
    device = torch.device("cuda")
    for images in (array, files):
        batches = EvaluationBatches(len(images.labels), batch_size=10)
        workers = 0 if images.in_memory else 1
        there = Loader(images, batches, normalize=NORMALIZE, device=device, workers=workers)
        for (x, y), (expected_x, expected_y) in zip(there, evaluation(images), strict=True):
            assert x.device.type == y.device.type == "cuda"
            torch.testing.assert_close(x.cpu(), expected_x)
            assert torch.equal(y.cpu(), expected_y)
