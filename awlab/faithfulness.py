"""Whether a heat map is faithful: what becomes of the confidence when an image follows its map."""

# Shape suffixes: N images, C channels, H W image, P pixels, K classes, S stages of erasing.

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.transforms.v2.functional import gaussian_blur

from awlab.gradcam import evaluating

STEPS = 32
"""In which an image is erased or restored."""
BLUR = 11, 5.0
"""Width of the Gaussian that takes the evidence out of an image, and its sigma, pixels: those of
Petsiuk et al."""


@dataclass(frozen=True)
class Faithfulness:
    """How well maps tell where the evidence for a class is; each is (N,).

    Attributes:
        drop: How much of the confidence is lost when an image keeps what its map says, percent
            (Average Drop, Chattopadhay et al. 2018, Grad-CAM++, section 4.1, is its mean). Low is
            faithful.
        deletion: Area under the confidence while the pixels are erased, those with most evidence
            first, 0 to 1 (Petsiuk et al. 2018, RISE, section 4.2). Low is faithful.
        insertion: The same while they are put into the blurred image. High is faithful.
    """

    drop: Tensor
    deletion: Tensor
    insertion: Tensor


def faithfulness(
    model: nn.Module, x_NCHW: Tensor, cam_NHW: Tensor, class_N: Tensor, *, steps: int = STEPS
) -> Faithfulness:
    """Measure how faithful heat maps are.

    Args:
        model: Maps images (N, C, H, W) to logits (N, K).
        x_NCHW: Normalised images: what is erased becomes 0, the mean colour of the training images.
        cam_NHW: Heat maps, in [0, 1].
        class_N: The class that each map explains.
        steps: In which an image is erased or restored; all pixels of a step change at once.
    """
    kernel, sigma = min(BLUR[0], 2 * min(x_NCHW.shape[2:]) - 1), BLUR[1]
    blurred_NCHW = gaussian_blur(x_NCHW, [kernel, kernel], [sigma, sigma])
    rank_NHW = evidence_rank(cam_NHW)
    with evaluating(model), torch.no_grad():
        kept_N = confidence(model, x_NCHW * cam_NHW.unsqueeze(1).to(x_NCHW), class_N)
        deletion_SN = _trace(model, x_NCHW, torch.zeros_like(x_NCHW), rank_NHW, class_N, steps)
        insertion_SN = _trace(model, blurred_NCHW, x_NCHW, rank_NHW, class_N, steps)
    whole_N = deletion_SN[0]
    return Faithfulness(
        drop=100 * (whole_N - kept_N).clamp_min(0) / whole_N,
        deletion=area(deletion_SN),
        insertion=area(insertion_SN),
    )


def confidence(model: nn.Module, x_NCHW: Tensor, class_N: Tensor) -> Tensor:
    """Probability of a class in each image, (N,)."""
    probability_NK = model(x_NCHW).float().softmax(1)
    return probability_NK.gather(1, class_N.unsqueeze(1)).squeeze(1)


def evidence_rank(cam_NHW: Tensor) -> Tensor:
    """Place of each pixel in the order of falling evidence, from 0; equal ones in reading order."""
    order_NP = cam_NHW.flatten(1).argsort(dim=1, descending=True, stable=True)
    return order_NP.argsort(1).view_as(cam_NHW)


def area(confidence_SN: Tensor) -> Tensor:
    """Area under curves over equal steps from 0 to 1, by the trapezoidal rule, (N,)."""
    inner = confidence_SN.sum(0) - (confidence_SN[0] + confidence_SN[-1]) / 2
    return inner / (len(confidence_SN) - 1)


def _trace(
    model: nn.Module, from_NCHW: Tensor, to_NCHW: Tensor, rank_NHW: Tensor, class_N: Tensor,
    steps: int,
) -> Tensor:  # fmt: skip
    """Confidences (S, N) while the pixels of images turn into those of others."""
    pixels = rank_NHW[0].numel()
    stages = []
    for step in range(steps + 1):
        turned_N1HW = (rank_NHW < round(step * pixels / steps)).unsqueeze(1)
        stages.append(confidence(model, torch.where(turned_N1HW, to_NCHW, from_NCHW), class_N))
    return torch.stack(stages)
