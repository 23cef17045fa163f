"""Data sets."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from awlab.spec.base import Family, Spec
from awlab.spec.metrics import Task

Fraction = Annotated[float, Field(gt=0, lt=1)]
Area = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class Augmentation(Spec):
    """Random changes of small training images, drawn anew for every image and epoch."""

    crop_padding: int = Field(default=4, ge=0)
    """Pixels of zero padding around the image before a random crop of its old size."""
    horizontal_flip: bool = True
    """Mirror every second image, at random."""
    rotation: float = Field(default=0.0, ge=0, le=180)
    """Largest angle of a random rotation, degrees."""


class Data(Family):
    """A data set with a training, a validation and a test split."""

    task: ClassVar[Task] = "classification"

    split_seed: int = Field(default=0, ge=0)
    """Decides which training images are held out for validation; not the seed of the run, so that
    all runs of a study share one split."""

    @property
    def num_classes(self) -> int:
        """Classes."""
        raise NotImplementedError

    @property
    def image_size(self) -> int:
        """Height and width of what the network sees, pixels."""
        raise NotImplementedError

    @property
    def channels(self) -> int:
        """Colour channels."""
        return 3


class CIFAR(Data):
    """CIFAR-10 or CIFAR-100 (Krizhevsky 2009), in the published Python files."""

    kind: Literal["cifar10", "cifar100"]
    validation_fraction: Fraction = 0.1
    """Of the 50,000 training images."""
    augmentation: Augmentation = Augmentation()
    """Of training images."""

    @property
    def num_classes(self) -> int:
        """Classes."""
        return 100 if self.kind == "cifar100" else 10

    @property
    def image_size(self) -> int:
        """Pixels."""
        return 32


class Digits(Data):
    """1,797 grey 8x8 digits that scikit-learn carries (extra `demo`)."""

    kind: Literal["digits"] = "digits"
    validation_fraction: Fraction = 0.2
    """Of the training images; a fixed fifth of all images is the test set."""
    augmentation: Augmentation = Augmentation(crop_padding=1, horizontal_flip=False)
    """Of training images."""

    @property
    def num_classes(self) -> int:
        """Classes."""
        return 10

    @property
    def image_size(self) -> int:
        """Pixels."""
        return 8

    @property
    def channels(self) -> int:
        """Colour channels."""
        return 1


class PhotoPatches(Data):
    """Colour 32x32 crops of ten photographs of scikit-image and scikit-learn (extra `demo`).

    The class is the photograph. Training, validation and test crops come from disjoint parts of
    each photograph.
    """

    kind: Literal["photo_patches"] = "photo_patches"
    train_patches: int = Field(default=2000, ge=10)
    """Over all classes."""
    validation_patches: int = Field(default=500, ge=10)
    """Over all classes."""
    test_patches: int = Field(default=1000, ge=10)
    """Over all classes."""
    augmentation: Augmentation = Augmentation()
    """Of training images."""

    @property
    def num_classes(self) -> int:
        """Classes."""
        return 10

    @property
    def image_size(self) -> int:
        """Pixels."""
        return 32


class FolderAugmentation(Spec):
    """Random changes of training images read from files."""

    scale: Annotated[tuple[Area, Area], Field(strict=False)] = (0.08, 1.0)
    """Smallest and largest area of the random crop, over the area of the image."""
    ratio: Annotated[tuple[Positive, Positive], Field(strict=False)] = (3 / 4, 4 / 3)
    """Smallest and largest width over height of the random crop."""
    horizontal_flip: bool = True
    """Mirror every second image, at random."""

    @field_validator("scale", "ratio")
    @classmethod
    def _smallest_first(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        if bounds[0] > bounds[1]:
            raise ValueError(f"must be the smallest and the largest value, not {list(bounds)}")
        return bounds


class ImageFolder(Data):
    """Images in one folder per class, in the layout of ImageNet.

    Below `runtime.data_root` / `folder`: `train/CLASS/*` and `val/CLASS/*`. The folder `val` is the
    test set, as everywhere for ImageNet; the validation split is held out of `train`.
    """

    kind: Literal["image_folder"] = "image_folder"
    folder: str = Field(min_length=1, pattern=r"^[^/\x00][^\x00]*$")
    """Relative to `runtime.data_root`."""
    classes: int = Field(ge=2)
    """Number of class folders."""
    size: int = Field(default=224, ge=8)
    """Height and width of the crops that the network sees, pixels."""
    resize: int = Field(default=256, ge=8)
    """Shorter side before the centre crop of validation and test images, pixels."""
    validation_fraction: Fraction = 0.02
    """Of the training images."""
    augmentation: FolderAugmentation = FolderAugmentation()
    """Of training images."""
    mean: Annotated[tuple[float, float, float], Field(strict=False)] = (0.485, 0.456, 0.406)
    """Of each colour channel in [0, 1]; ImageNet's."""
    std: Annotated[tuple[Positive, Positive, Positive], Field(strict=False)] = (0.229, 0.224, 0.225)
    """Of each colour channel in [0, 1]; ImageNet's."""

    @model_validator(mode="after")
    def _crop_fits(self) -> "ImageFolder":
        if self.resize < self.size:
            raise ValueError(f"resize (={self.resize}) must be at least size (={self.size})")
        return self

    @property
    def num_classes(self) -> int:
        """Classes."""
        return self.classes

    @property
    def image_size(self) -> int:
        """Pixels."""
        return self.size
