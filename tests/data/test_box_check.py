import pytest

from awlab.data.box_check import check_boxes
from awlab.data.errors import DataError
from awlab.data.objects import Objects, target
from awlab.data.scenes import SceneFiles


def images_with(box):
    objects = [
        target([[0, 0, 100, 80]], [1]),
        target([], [], image_id=1),
        target([[5, 5, 9, 9], box], [1, 2], image_id=2),
    ]
    sizes = [(100, 80), (10, 10), (40, 30)]
    return SceneFiles.of(["a.jpg", "b.jpg", "c.jpg"], sizes, Objects.of(objects))


@pytest.mark.parametrize("box", [[0, 0, 40, 30], [-1, -1, 41, 31], [39.5, 0, 40, 0.5]])
def test_boxes_may_end_at_the_border_and_be_rounded(box):
    check_boxes(images_with(box), "x.json")


@pytest.mark.parametrize("box", [[3, 3, 3, 9], [3, 3, 9, 3], [9, 3, 3, 9]])
def test_boxes_need_an_area(box):
    corners = ", ".join(str(number) for number in box)
    message = (
        rf"^x\.json: 1 of 3 boxes have no area, first \[{corners}\] \(x1, y1, x2, y2\) in c\.jpg "
        r"\(40 x 30\)\. Mend them, or set data\.clip_boxes=true"
    )
    with pytest.raises(DataError, match=message):
        check_boxes(images_with(box), "x.json")


@pytest.mark.parametrize("box", [[-2, 0, 9, 9], [0, -2, 9, 9], [0, 0, 42, 9], [0, 0, 9, 32]])
def test_boxes_must_lie_in_their_image(box):
    message = r"1 of 3 boxes have parts outside of their image, first .* in c\.jpg \(40 x 30\)"
    with pytest.raises(DataError, match=message):
        check_boxes(images_with(box), "x.json")
