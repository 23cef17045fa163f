"""Detection sets in the layout of COCO (Lin et al. 2014)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from awlab.data.box_check import check_boxes
from awlab.data.coco_file import read_coco_file
from awlab.data.scenes import SceneFiles, SceneSet


@dataclass(frozen=True)
class COCOLayout:
    """Where the files of a subset are, relative to the folder of the set."""

    annotations: str = "annotations/instances_{subset}.json"
    """The annotation file."""
    images: str = "{subset}"
    """The folder of the images."""


def load_coco(
    folder: Path,
    *,
    train: str = "train2017",
    validation: str | float = 0.02,
    test: str = "val2017",
    classes: int | Sequence[str] = 80,
    layout: COCOLayout = COCOLayout(),
    clip_boxes: bool = False,
    split_seed: int = 0,
) -> SceneSet:
    """Read annotations; images are read when they are needed.

    Crowds are left out of training, and ignored in evaluation as COCO does it. Evaluation takes
    boxes as they are written.

    Args:
        folder: Holds the files of all subsets.
        train: Name of the subset to learn from.
        validation: Name of a subset, or the part of the training images that is held out.
        test: Name of the subset to report on: COCO publishes no objects of its test images.
        classes: How many, or their names in the order of the labels.
        layout: Where the files are.
        clip_boxes: Whether boxes may reach out of their image or have no area.
        split_seed: Decides which images are held out.

    Raises:
        DataError: When files are missing or damaged, or the classes are others.
    """

    def read(
        subset: str, expected: int | Sequence[str], reference: object
    ) -> tuple[SceneFiles, tuple[str, ...]]:
        path = folder / layout.annotations.format(subset=subset)
        images = folder / layout.images.format(subset=subset)
        scenes, names = read_coco_file(path, images, expected, reference)
        if not clip_boxes:
            check_boxes(scenes, path)
        return scenes, names

    training, names = read(train, classes, "data.classes")
    if isinstance(validation, str):
        val, _ = read(validation, names, train)
    else:
        training, val = training.hold_out(validation, seed=split_seed)
    tested, _ = read(test, names, train)
    return SceneSet(
        train=training.with_objects(training.objects.without_crowds()),
        val=val,
        test=tested,
        class_names=names,
    )
