"""SSD300 (Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016), torchvision's engine."""

# Shape suffixes: N batch, C channels, H W image, B default boxes, K classes or coordinates.

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from torch import Tensor, nn
from torchvision.models import vgg16
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD, SSDFeatureExtractorVGG, SSDHead, SSDScoringHead

from awlab.models.convert import convert
from awlab.models.initialise import reset
from awlab.models.stage import AttentionFactory, ConvFactory, is_attention
from awlab.nn.location import inside

SIZE = 300
"""Height and width that images are resized to, pixels."""
CHANNELS = (512, 1024, 512, 256, 256, 256)
"""Of the maps that boxes are predicted from."""
RATIOS = ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,))
"""Of the default boxes of each map, beside 1 (Liu et al., section 3.1)."""
SCALES = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)
STEPS = (8, 16, 32, 64, 100, 300)
RESCALED_NORM = 20.0
"""Initial norm of the features of conv4_3 (Liu et al., section 3.1)."""

PLACES = {
    "multibox": ("head.*.module_list.*",),
    "extra": ("backbone.extra.[1-4].*",),
    "vgg": ("backbone.features.*", "backbone.extra.0.*"),
}
"""Where convolutions may be replaced, as globs over dotted names."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CAFFE_MEAN, CAFFE_STD = (0.48235, 0.45882, 0.40784), (1 / 255, 1 / 255, 1 / 255)
"""Of the images that the weights were trained on which Liu et al. began with."""


class FloatBackbone(SSDFeatureExtractorVGG):
    """Yields float32 maps also under autocast: torchvision makes boxes of their type."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        maps = super().forward(x)
        return OrderedDict((name, map_NCHW.float()) for name, map_NCHW in maps.items())


class MultiboxHead(SSDHead):
    """Predicts classes and boxes from each map, in float32 also under autocast.

    Args:
        num_anchors: Default boxes per pixel of each map.
        num_classes: With the background.
        attention: Makes a module that refines each map right before its two convolutions.
    """

    def __init__(
        self, num_anchors: list[int], num_classes: int, attention: AttentionFactory
    ) -> None:
        super().__init__(list(CHANNELS), num_anchors, num_classes)
        self.attention = nn.ModuleList()
        for number, channels in enumerate(CHANNELS):
            with inside(f"head.attention.{number}"):
                self.attention.append(attention(channels))

    def forward(self, x: list[Tensor]) -> dict[str, Tensor]:
        refined = [refine(map_NCHW) for refine, map_NCHW in zip(self.attention, x, strict=True)]
        return {name: found_NBK.float() for name, found_NBK in super().forward(refined).items()}


def ssd300(
    *,
    num_classes: int,
    conv: ConvFactory = nn.Conv2d,
    places: Iterable[str] = ("multibox",),
    attention: AttentionFactory = nn.Identity,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> SSD:
    """Build the detector; torchvision's names of parameters, and its defaults.

    It maps a list of images (3, H, W) in [0, 1] of any sizes to detections, and in training, with
    targets, to losses.

    Args:
        num_classes: Without the background, which is class 0.
        conv: Makes the convolutions of `places`.
        places: Some of `PLACES`.
        attention: Makes a module right before the two multibox convolutions of each map.
        mean: Of each colour channel, subtracted from images.
        std: Of each colour channel, images are divided by it.

    Raises:
        ValueError: From a factory, with the layer's name.
    """
    anchors = DefaultBoxGenerator(
        [list(ratios) for ratios in RATIOS], scales=list(SCALES), steps=list(STEPS)
    )
    backbone = FloatBackbone(vgg16(weights=None).features, highres=False)
    head = MultiboxHead(anchors.num_anchors_per_location(), num_classes + 1, attention)
    detector = SSD(
        backbone,
        anchors,
        (SIZE, SIZE),
        num_classes + 1,
        image_mean=list(mean),
        image_std=list(std),
        head=head,
    )
    if conv is not nn.Conv2d:
        for place in places:
            for where in PLACES[place]:
                convert(detector, conv, where)
    return detector


def freeze_all_but(backbone: SSDFeatureExtractorVGG, trainable_layers: int) -> None:
    """Train the last blocks of VGG only, and all attention: no pretrained weights have it.

    Args:
        backbone: Of an SSD.
        trainable_layers: Of the five blocks of VGG, from the last on; 5 is all.
    """
    vgg = _vgg(backbone)
    begins = [0, *(place for place, layer in enumerate(vgg) if isinstance(layer, nn.MaxPool2d))]
    first_trained = [*begins, len(vgg)][len(begins) - trainable_layers]
    for name, parameter in vgg[:first_trained].named_parameters():
        parameter.requires_grad_(is_attention(name))


def vgg_of(detector: SSD) -> nn.Module:
    """The layers of VGG in a detector, under the names that they have in torchvision's VGG."""
    backbone = detector.backbone
    assert isinstance(backbone, SSDFeatureExtractorVGG)
    vgg = nn.Module()
    vgg.features = _vgg(backbone)
    return vgg


@reset.register
def _(module: SSDScoringHead) -> None:
    """As torchvision does, whatever convolutions stand there."""
    for conv in module.module_list:
        _xavier(conv)


@reset.register
def _(module: SSDFeatureExtractorVGG) -> None:
    """As torchvision does: what is not VGG's own begins otherwise than VGG."""
    nn.init.constant_(module.scale_weight, RESCALED_NORM)
    first, *others = module.extra
    for part in (first.get_submodule("7"), *others):  # what follows conv5_3
        for layer in part.children():
            if isinstance(layer, nn.Conv2d):
                _xavier(layer)


def _vgg(backbone: SSDFeatureExtractorVGG) -> nn.Sequential:
    """The layers of VGG: those before its fourth pooling, and the first extra ones but fc6, fc7."""
    rest = backbone.extra[0]
    assert isinstance(rest, nn.Sequential)
    return nn.Sequential(*backbone.features, *rest[:-1])


def _xavier(conv: nn.Module) -> None:
    assert isinstance(conv, nn.Conv2d)
    nn.init.xavier_uniform_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
