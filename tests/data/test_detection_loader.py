import pytest
import torch

from awlab.data.detection_loader import DetectionLoader
from awlab.data.errors import DataError
from awlab.data.sampling import EvaluationBatches, Share, TrainingBatches
from awlab.data.scene_augmentation import SceneAugment

CPU = torch.device("cpu")
AUGMENT = SceneAugment(horizontal_flip=True, iou_crop=True)


def training(scenes, *, position=0, workers=0, seed=0):
    batches = TrainingBatches(
        len(scenes.objects), share=Share(4), seed=seed, position=lambda: position
    )
    return DetectionLoader(scenes, batches, augment=AUGMENT, seed=seed, device=CPU, workers=workers)


def contents(loader):
    """Image ids, images and boxes, one after the other."""
    return [
        (one["image_id"], image, one["boxes"])
        for images, targets in loader
        for image, one in zip(images, targets, strict=True)
    ]


def equal(some, others):
    assert [image_id for image_id, _, _ in some] == [image_id for image_id, _, _ in others]
    for (_, image, boxes), (_, expected, expected_boxes) in zip(some, others, strict=True):
        assert torch.equal(image, expected)
        assert torch.equal(boxes, expected_boxes)


def test_images_are_floats_from_zero_to_one_and_targets_complete(digit_scenes):
    batches = EvaluationBatches(8, batch_size=3)
    (images, targets), *_ = DetectionLoader(digit_scenes.test, batches, device=CPU)
    assert torch.equal(images[1], digit_scenes.test.pixels[1] / 255)
    assert images[0].dtype == torch.float32
    assert set(targets[0]) == {"boxes", "labels", "image_id", "area", "iscrowd"}
    assert torch.equal(targets[1]["boxes"], digit_scenes.test.objects[1]["boxes"])


def test_each_image_is_evaluated_once_and_as_it_is(digit_scenes):
    loader = DetectionLoader(digit_scenes.test, EvaluationBatches(8, batch_size=3), device=CPU)
    assert len(loader) == 3
    assert [image_id for image_id, _, _ in contents(loader)] == list(range(8))
    equal(contents(loader), contents(loader))


def test_images_keep_their_own_size(digit_scenes):
    images = [image for _, image, _ in contents(training(digit_scenes.train))]
    assert len({image.shape for image in images}) > 2


def test_an_epoch_is_repeated_exactly_and_the_next_one_is_another(digit_scenes):
    first = contents(training(digit_scenes.train))
    equal(contents(training(digit_scenes.train)), first)
    equal(contents(training(digit_scenes.train, position=2)), first[8:])
    second = contents(training(digit_scenes.train, position=3))
    assert sorted(image_id for image_id, _, _ in second) == list(range(12))
    shapes = [sorted(image.shape for _, image, _ in epoch) for epoch in (first, second)]
    assert shapes[0] != shapes[1]


def test_another_seed_is_another_order_with_other_changes(digit_scenes):
    one, other = (contents(training(digit_scenes.train, seed=seed)) for seed in (0, 1))
    assert [image_id for image_id, _, _ in one] != [image_id for image_id, _, _ in other]
    shapes = [{image_id: image.shape for image_id, image, _ in epoch} for epoch in (one, other)]
    assert shapes[0] != shapes[1]


def test_processes_read_the_same(digit_scenes):
    alone = contents(training(digit_scenes.train))
    equal(contents(training(digit_scenes.train, workers=2)), alone)


class Broken:
    """Images that cannot be read."""

    in_memory = False

    def __init__(self, objects):
        self.objects = objects

    def read(self, index):
        raise DataError(f"image {index} is broken")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_cannot_be_read_is_named_without_a_traceback(digit_scenes, workers):
    loader = training(Broken(digit_scenes.train.objects), workers=workers)
    with pytest.raises(DataError, match=r"^image \d+ is broken$"):
        next(iter(loader))


def test_lightning_has_nothing_to_store(digit_scenes):
    loader = training(digit_scenes.train)
    loader.load_state_dict(loader.state_dict())
    assert loader.state_dict() == {}
