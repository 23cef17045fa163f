"""Data sets of images with objects in them."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from awlab.spec.base import Spec
from awlab.spec.data import Data
from awlab.spec.metrics import Task

Count = Annotated[int, Field(ge=1)]


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
