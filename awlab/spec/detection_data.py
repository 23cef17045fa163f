"""Data sets of images with objects in them."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from awlab.spec.base import Spec
from awlab.spec.data import Data, Fraction
from awlab.spec.metrics import Task

Count = Annotated[int, Field(ge=1)]
Folder = Annotated[str, Field(min_length=1, pattern=r"^[^/\x00][^\x00]*$")]
Subset = Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9_.-]+$")]
VOCSubset = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$")]
ClassNames = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
"""Of PASCAL VOC since 2007."""


class SceneAugmentation(Spec):
    """Random changes of training images and their boxes, drawn anew for every image and epoch.

    The scale of images is not among them: detectors resize images themselves.
    """

    horizontal_flip: bool = True
    """Mirror every second image, at random."""
    photometric_distort: bool = False
    """SSD's: change brightness, contrast, saturation, hue and the order of the channels."""
    zoom_out: bool = False
    """SSD's: set every second image into a canvas of up to four times its height and width."""
    iou_crop: bool = False
    """SSD's: crop such that the overlap with an object is at least a random bound."""


class DetectionData(Data):
    """A data set in which a detector finds objects."""

    task: ClassVar[Task] = "detection"


class DigitScenes(DetectionData):
    """Handwritten digits of scikit-learn on photographs of scikit-image (extra `demo`).

    The digits of the training, the validation and the test scenes are different images, and the
    photographs are cut out of disjoint parts.
    """

    kind: Literal["digit_scenes"] = "digit_scenes"
    train_images: Count = 400
    """Scenes."""
    validation_images: Count = 100
    """Scenes."""
    test_images: Count = 200
    """Scenes."""
    size: int = Field(default=96, ge=32)
    """Height and width of a scene, pixels."""
    classes: int = Field(default=10, ge=1, le=10)
    """The digits 0 ... classes - 1 occur."""
    most_digits: Count = 4
    """In one scene; 0 occur too."""
    digit_sizes: Annotated[tuple[int, int], Field(strict=False)] = (20, 44)
    """Smallest and largest height of a digit with its rim, pixels."""
    augmentation: SceneAugmentation = SceneAugmentation(horizontal_flip=False)
    """Of training images."""

    @model_validator(mode="after")
    def _digits_fit(self) -> "DigitScenes":
        smallest, largest = self.digit_sizes
        # A digit is up to 1.2 times as wide as high.
        if not 8 <= smallest <= largest or 1.2 * largest > self.size:
            raise ValueError(
                f"digit_sizes (={[smallest, largest]}) must be at least 8, the smaller one first, "
                f"and at most size / 1.2 (={int(self.size / 1.2)})"
            )
        return self

    @property
    def num_classes(self) -> int:
        """Classes, the background not counted."""
        return self.classes

    @property
    def image_size(self) -> int:
        """Pixels."""
        return self.size


class AnnotatedImages(DetectionData):
    """Images in files of any size, with a file or files that say what is in them."""

    clip_boxes: bool = False
    """Whether boxes may reach out of their image or have no area, which is an error else. For
    training they are cut at the border of the image, and those without area left out; evaluation
    takes them as they are. COCO's own `train2017` has two of height 0."""

    @property
    def image_size(self) -> int:
        """Shorter side of most images in COCO and VOC, pixels; sizes differ."""
        return 480


class COCO(AnnotatedImages):
    """Detection in the layout of COCO (Lin et al. 2014), below `runtime.data_root` / `folder`.

    Objects that are marked as crowds are not trained on, and are ignored in evaluation.
    """

    kind: Literal["coco"] = "coco"
    folder: Folder = "coco"
    """Relative to `runtime.data_root`."""
    train: Subset = "train2017"
    """Subset to learn from."""
    validation: Fraction | Subset = 0.02
    """Part of the training images that is held out, or a subset."""
    test: Subset = "val2017"
    """Subset to report on: COCO publishes no objects of its test images."""
    annotations: Folder = "annotations/instances_{subset}.json"
    """Annotation file of a subset, relative to `folder`."""
    images: Folder = "{subset}"
    """Folder with the images of a subset, relative to `folder`."""
    classes: Annotated[int, Field(ge=1)] | ClassNames = 80
    """How many categories there are, or their names in the order of the labels. Their ids may have
    gaps."""
    augmentation: SceneAugmentation = SceneAugmentation()
    """Of training images."""

    @field_validator("annotations", "images")
    @classmethod
    def _only_the_subset_is_filled_in(cls, pattern: str) -> str:
        if set("{}") & set(pattern.replace("{subset}", "")):
            raise ValueError(f"must have no braces but those of {{subset}}, not {pattern!r}")
        return pattern

    @field_validator("annotations")
    @classmethod
    def _subsets_have_files_of_their_own(cls, pattern: str) -> str:
        if "{subset}" not in pattern:
            raise ValueError(f"must contain {{subset}}, not {pattern!r}")
        return pattern

    @field_validator("classes")
    @classmethod
    def _classes_are_distinct(cls, classes: int | tuple[str, ...]) -> int | tuple[str, ...]:
        return classes if isinstance(classes, int) else _distinct(classes)

    @property
    def num_classes(self) -> int:
        """Classes, the background not counted."""
        return self.classes if isinstance(self.classes, int) else len(self.classes)


class VOC(AnnotatedImages):
    """Detection in the layout of PASCAL VOC (Everingham et al. 2010), below `data_root` / `folder`.

    A subset is a year and an image set: `VOC2007/trainval`. Objects that are marked as difficult
    are ignored in evaluation.
    """

    kind: Literal["voc"] = "voc"
    folder: Folder = "VOCdevkit"
    """Relative to `runtime.data_root`."""
    train: Annotated[tuple[VOCSubset, ...], Field(strict=False, min_length=1)] = (
        "VOC2007/trainval",
        "VOC2012/trainval",
    )
    """Subsets to learn from."""
    validation: Fraction | VOCSubset = 0.02
    """Part of the training images that is held out, or a subset."""
    test: VOCSubset = "VOC2007/test"
    """Subset to report on."""
    classes: ClassNames = VOC_CLASSES
    """Their names in the order of the labels."""
    train_on_difficult: bool = True
    """Whether objects that are marked as difficult are learned."""
    augmentation: SceneAugmentation = SceneAugmentation(
        photometric_distort=True, zoom_out=True, iou_crop=True
    )
    """Of training images."""

    @field_validator("classes")
    @classmethod
    def _classes_are_distinct(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        return _distinct(classes)

    @property
    def num_classes(self) -> int:
        """Classes, the background not counted."""
        return len(self.classes)


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"must have distinct names; {twice[0]!r} is there twice")
    return names
