"""Faster R-CNN (Ren et al., NeurIPS 2015) on a feature pyramid, with torchvision's engine."""

# Shape suffixes: N batch, R regions, K classes and background, A anchors per pixel.

from collections.abc import Sequence

from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.rpn import AnchorGenerator, RPNHead

from awlab.models.initialise import reset
from awlab.models.pyramid import LEVELS, PyramidBackbone

REGION = 7
"""Height and width of what is pooled from a region."""


class FloatRPNHead(RPNHead):
    """Answers in float32 also under autocast, so that boxes are decoded in float32."""

    def forward(self, x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        logits, deltas = super().forward(x)
        return [one.float() for one in logits], [one.float() for one in deltas]


class FloatPredictor(FastRCNNPredictor):
    """Answers in float32 also under autocast, so that boxes are decoded in float32."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scores_RK, deltas_RK4 = super().forward(x)
        return scores_RK.float(), deltas_RK4.float()


def faster_rcnn(
    backbone: PyramidBackbone,
    *,
    num_classes: int,
    min_sizes: Sequence[int] = (800,),
    max_size: int = 1333,
    anchor_sizes: Sequence[int] = (32, 64, 128, 256, 512),
    anchor_ratios: Sequence[float] = (0.5, 1.0, 2.0),
    proposals: int = 1000,
    regions: int = 512,
    hidden: int = 1024,
) -> FasterRCNN:
    """Build the detector; torchvision's names of parameters, and its defaults.

    It maps a list of images (3, H, W) in [0, 1] of any sizes to detections, and in training, with
    targets, to losses.

    Args:
        backbone: Yields five maps.
        num_classes: Without the background, which is class 0.
        min_sizes: Shorter side that images are resized to: in training one of these, at random; in
            evaluation the last one.
        max_size: Longest side after that.
        anchor_sizes: Side of the square anchors of each map, from the finest on, pixels.
        anchor_ratios: Height over width of anchors.
        proposals: Per image, after suppression; twice as many in training.
        regions: Proposals per image that the head is trained on.
        hidden: Width of the head.

    Raises:
        ValueError: When the anchors are not of as many sizes as there are maps.
    """
    if len(anchor_sizes) != LEVELS:
        raise ValueError(
            f"anchor_sizes (={list(anchor_sizes)}) must be {LEVELS} numbers, one of each map"
        )
    anchors = AnchorGenerator(
        tuple((size,) for size in anchor_sizes), (tuple(anchor_ratios),) * LEVELS
    )
    return FasterRCNN(
        backbone,
        min_size=tuple(min_sizes),  # pyright: ignore[reportArgumentType]  several are allowed
        max_size=max_size,
        rpn_anchor_generator=anchors,
        rpn_head=FloatRPNHead(backbone.out_channels, len(anchor_ratios)),
        rpn_pre_nms_top_n_train=2 * proposals,
        rpn_pre_nms_top_n_test=proposals,
        rpn_post_nms_top_n_train=2 * proposals,
        rpn_post_nms_top_n_test=proposals,
        box_head=TwoMLPHead(backbone.out_channels * REGION**2, hidden),
        box_predictor=FloatPredictor(hidden, num_classes + 1),
        box_batch_size_per_image=regions,
    )


@reset.register
def _(module: RPNHead) -> None:
    """As torchvision does: nearly nothing at first, so that all anchors begin alike."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.01)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
