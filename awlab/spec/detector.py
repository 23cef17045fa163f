"""Networks that find objects."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from awlab.spec.attention import Attention
from awlab.spec.conv import Conv
from awlab.spec.metrics import Task
from awlab.spec.model import Model, ResNet

Sizes = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False, min_length=1)]
Ratios = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(strict=False, min_length=1)]
Place = Literal["multibox", "extra", "vgg"]


class Detector(Model):
    """A network that finds objects; its images may differ in size, and it resizes them itself."""

    task: ClassVar[Task] = "detection"

    backbone_weights: str | None = Field(default=None, pattern="^IMAGENET1K_[A-Z0-9]+$")
    """Weights of torchvision that the backbone begins with, such as `IMAGENET1K_V1`; it downloads
    them when they are not there. `null` is random weights, or those of a file: see `weights`, which
    with `into: backbone.body` are for the backbone of Faster R-CNN alone."""
    trainable_layers: int = Field(default=5, ge=0, le=5)
    """How many of the five parts of the backbone are trained, from the last on; the others keep
    their pretrained weights, but for attention in them, which is always trained."""

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of an image, pixels, for which costs are counted."""
        raise NotImplementedError

    @property
    def pretrained(self) -> bool:
        """Whether anything begins with weights that were learned."""
        return self.backbone_weights is not None or self.weights is not None

    @property
    def beginning(self) -> dict[str, Any]:
        """What decides initial weights beside the seed and the structure."""
        return super().beginning | {"backbone_weights": self.backbone_weights}

    @model_validator(mode="after")
    def _what_is_frozen_is_pretrained(self) -> "Detector":
        if self.trainable_layers < 5 and not self.pretrained:
            raise ValueError(
                f"trainable_layers (={self.trainable_layers}) would freeze random weights: give "
                "backbone_weights or weights, or train all 5"
            )
        return self

    @model_validator(mode="after")
    def _the_backbone_begins_with_one_thing(self) -> "Detector":
        weights = self.weights
        if (
            self.backbone_weights
            and weights
            and (weights.into or "backbone").startswith("backbone")
        ):
            raise ValueError(
                f"backbone_weights {self.backbone_weights} would be replaced by weights; give one"
            )
        return self


class FasterRCNN(Detector):
    """Faster R-CNN (Ren et al. 2015) on a feature pyramid (Lin et al. 2017)."""

    kind: Literal["faster_rcnn"] = "faster_rcnn"
    backbone: ResNet = ResNet(depth=50, stride_in="3x3")
    """The network below the pyramid, without its classifier. Torchvision's weights want
    `stride_in: 3x3` from depth 50 on."""
    freeze_batch_norm: bool = False
    """Whether the batch norms of the backbone keep pretrained statistics and parameters, as usual
    with a few images per device."""
    fpn_channels: int = Field(default=256, ge=1)
    """Of all maps of the pyramid."""
    fpn_conv: Conv | None = None
    """Takes the place of all lateral and output convolutions of the pyramid (the paper's AW-FPN).
    At a few images per device an AW-convolution wants `norm: layer`: batch norms of F1 see one
    value of each image in a lateral convolution, and of two values carry only a sign."""
    fpn_attention: Attention | None = None
    """Placed right before each lateral and output convolution of the pyramid."""
    min_sizes: Sizes = (800,)
    """Shorter side that images are resized to, pixels: in training one of these, at random for each
    image; in evaluation the last one."""
    max_size: int = Field(default=1333, ge=32)
    """Longest side after that, pixels; an image that would be longer becomes smaller instead."""
    anchor_sizes: Sizes = (32, 64, 128, 256, 512)
    """Side of the square anchors of each of the five maps, from the finest on, pixels of resized
    images."""
    anchor_ratios: Ratios = (0.5, 1.0, 2.0)
    """Height over width of anchors."""
    proposals: int = Field(default=1000, ge=1)
    """Regions per image that are classified in evaluation; training draws from twice as many."""
    regions: int = Field(default=512, ge=1)
    """Regions per image that the classifier is trained on."""
    hidden: int = Field(default=1024, ge=1)
    """Width of the two hidden layers of the classifier of regions."""

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the largest image in evaluation, pixels, whole strides of 32."""
        return _whole_strides(self.min_sizes[-1]), _whole_strides(self.max_size)

    @field_validator("anchor_sizes")
    @classmethod
    def _one_size_for_each_map(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if len(sizes) != 5:
            raise ValueError(f"anchor_sizes must be 5 numbers, one of each map, not {list(sizes)}")
        return sizes

    @model_validator(mode="after")
    def _sizes_are_possible(self) -> "FasterRCNN":
        if min(self.min_sizes) < 32:
            raise ValueError(f"min_sizes must be at least 32 pixels, not {list(self.min_sizes)}")
        if max(self.min_sizes) > self.max_size:
            raise ValueError(
                f"max_size (={self.max_size}) must be at least the largest of min_sizes "
                f"(={max(self.min_sizes)})"
            )
        return self

    @model_validator(mode="after")
    def _norms_are_pretrained(self) -> "FasterRCNN":
        if self.freeze_batch_norm and not self.pretrained:
            raise ValueError(
                "freeze_batch_norm would freeze norms that have seen nothing: give "
                "backbone_weights or weights, or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _weights_are_of_the_detector(self) -> "FasterRCNN":
        if self.backbone.weights is not None:
            raise ValueError(
                "backbone.weights would be ignored; put them beside backbone, with "
                "into: backbone.body"
            )
        return self

    @model_validator(mode="after")
    def _weights_fit_the_strides(self) -> "FasterRCNN":
        weights, backbone = self.backbone_weights, self.backbone
        if weights is not None and backbone.depth >= 50 and backbone.stride_in == "1x1":
            raise ValueError(
                f"backbone_weights {weights} are those of a network with stride_in: 3x3; with 1x1 "
                "they would be read into another one"
            )
        return self


class SSD300(Detector):
    """SSD300 on VGG16 (Liu et al. 2016)."""

    kind: Literal["ssd300"] = "ssd300"
    conv: Conv | None = None
    """Takes the place of the convolutions of `conv_in`. At a few images per device an
    AW-convolution wants `norm: layer`."""
    conv_in: Annotated[tuple[Place, ...], Field(strict=False, min_length=1)] = ("multibox",)
    """Where `conv` is used: in the 12 convolutions that predict classes and boxes, in the 8 extra
    ones after VGG, in VGG."""
    attention: Attention | None = None
    """Placed right before the two multibox convolutions of each of the six maps."""

    @property
    def input_size(self) -> tuple[int, int]:
        """Pixels."""
        return 300, 300

    @field_validator("conv_in")
    @classmethod
    def _places_are_distinct(cls, places: tuple[Place, ...]) -> tuple[Place, ...]:
        if len(set(places)) < len(places):
            raise ValueError(f"conv_in must name distinct places, not {list(places)}")
        known: tuple[Place, ...] = ("multibox", "extra", "vgg")
        return tuple(place for place in known if place in places)

    @model_validator(mode="after")
    def _places_are_of_a_conv(self) -> "SSD300":
        if self.conv is None and self.conv_in != ("multibox",):
            raise ValueError(f"conv_in (={list(self.conv_in)}) would be ignored without a conv")
        return self


def _whole_strides(pixels: int) -> int:
    return -(-pixels // 32) * 32
