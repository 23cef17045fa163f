import pytest
import torch

from awlab.data.objects import target
from awlab.data.scene_augmentation import SceneAugment

EVERYTHING = SceneAugment(
    horizontal_flip=True, photometric_distort=True, zoom_out=True, iou_crop=True
)


def square(left, top, *, size=12):
    """A black image with one white square, and its box."""
    image = torch.zeros(3, 60, 80, dtype=torch.uint8)
    image[:, top : top + size, left : left + size] = 255
    return image, target([[left, top, left + size, top + size]], [4], image_id=9)


def same(one, other):
    return torch.equal(one[0], other[0]) and all(
        torch.equal(one[1][name], other[1][name]) for name in ("boxes", "labels", "area", "iscrowd")
    )


def outcomes(augment, image, objects, keys=range(40)):
    return [augment(image, objects, key) for key in keys]


def test_nothing_happens_unless_it_is_asked_for():
    sample = square(10, 20)
    for changed in outcomes(SceneAugment(), *sample, keys=range(5)):
        assert same(changed, sample)
        assert changed[1]["image_id"] == 9
        assert type(changed[0]) is type(changed[1]["boxes"]) is torch.Tensor


def test_a_mirrored_image_has_mirrored_boxes():
    image, objects = square(10, 20)
    seen = set()
    for changed, found in outcomes(SceneAugment(horizontal_flip=True), image, objects):
        mirrored = not torch.equal(changed, image)
        seen.add(mirrored)
        if mirrored:
            assert torch.equal(changed, image.flip(2))
            assert found["boxes"].tolist() == [[58, 20, 70, 32]]
        else:
            assert found["boxes"].tolist() == [[10, 20, 22, 32]]
    assert seen == {True, False}


@pytest.mark.parametrize("change", ["zoom_out", "iou_crop"])
def test_boxes_stay_on_what_they_are_on(change):
    """The white pixels of the changed image are those in its box."""
    image, objects = square(30, 20)
    sizes = set()
    for changed, found in outcomes(SceneAugment(**{change: True}), image, objects):
        sizes.add(tuple(changed.shape[1:]))
        ((left, top, right, bottom),) = found["boxes"].int().tolist()
        white = (changed == 255).all(0)
        assert white[top:bottom, left:right].all()
        assert white.sum() == (bottom - top) * (right - left)
    assert len(sizes) > 3
    grown = [height * width > 60 * 80 for height, width in sizes]
    assert any(grown) if change == "zoom_out" else not any(grown)


def test_objects_out_of_view_go_with_all_that_is_said_of_them():
    boxes = [[0, 0, 10, 10], [60, 40, 80, 60], [30, 20, 50, 40]]
    objects = target(boxes, [1, 2, 3], area=[10, 20, 30])
    image = torch.zeros(3, 60, 80, dtype=torch.uint8)
    counts = set()
    for _, found in outcomes(SceneAugment(iou_crop=True), image, objects):
        labels = found["labels"].tolist()
        counts.add(len(labels))
        assert found["area"].tolist() == [10 * label for label in labels]
        assert len(found["boxes"]) == len(found["iscrowd"]) == len(labels)
    assert counts >= {1, 3}


def test_colours_change_and_boxes_do_not():
    image = torch.randint(0, 256, (3, 60, 80), dtype=torch.uint8)
    _, objects = square(10, 20)
    samples = outcomes(SceneAugment(photometric_distort=True), image, objects)
    assert len({changed.sum().item() for changed, _ in samples}) > 20
    assert all(torch.equal(found["boxes"], objects["boxes"]) for _, found in samples)


def test_boxes_are_cut_at_the_border_and_what_has_no_area_goes():
    image = torch.zeros(3, 60, 80, dtype=torch.uint8)
    boxes = [[70, 50, 90, 70], [10, 10, 10, 20], [90, 70, 95, 75], [1, 1, 9, 9]]
    _, found = SceneAugment()(image, target(boxes, [1, 2, 3, 4]), 0)
    assert found["boxes"].tolist() == [[70, 50, 80, 60], [1, 1, 9, 9]]
    assert found["labels"].tolist() == [1, 4]


def test_images_without_boxes():
    image = torch.randint(0, 256, (3, 60, 80), dtype=torch.uint8)
    for changed, found in outcomes(EVERYTHING, image, target([], []), keys=range(10)):
        assert found["boxes"].shape == (0, 4)
        assert found["labels"].shape == (0,)
        assert changed.dtype == torch.uint8


def test_a_change_is_a_function_of_its_key_and_touches_no_state():
    image, objects = square(10, 20)
    torch.manual_seed(3)
    first = outcomes(EVERYTHING, image, objects, keys=range(8))
    after = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(1), after)
    again = outcomes(EVERYTHING, image, objects, keys=range(7, -1, -1))[::-1]
    assert all(same(one, other) for one, other in zip(first, again, strict=True))
    assert len({tuple(changed.shape) for changed, _ in first}) > 2


def test_gpus_are_not_seeded(monkeypatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", pytest.fail)  # As torch.manual_seed would.
    outcomes(EVERYTHING, *square(10, 20), keys=range(2))


def test_what_was_given_stays_as_it_was():
    image, objects = square(10, 20)
    outcomes(EVERYTHING, image, objects)
    expected = square(10, 20)
    assert same((image, objects), expected)
