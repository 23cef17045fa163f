"""What the attention of AW-convolutions does: how A is spread, and what it varies with."""

# Shape suffixes: N images, C channels, H W image, K classes, O I h w the dims C2, C1, h, w of A,
# F what is followed through the classes: channels, or taps.

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from awlab.gradcam import evaluating
from awlab.layer_attention import SOURCES, LayerAttention
from awlab.nn.aw_conv import AWConv2d
from awlab.nn.expand import shared_sizes

BINS = 40
"""Of the histogram over [0, 1]."""
MOST_FOLLOWED = 64
"""Channels that are followed through the classes; of more, evenly chosen ones."""
IMAGES_AT_ONCE = 16
MARGINS = {"c2": (2, 3, 4), "c1": (1, 3, 4), "taps": (1, 2)}
"""Dims that A is averaged over, so that one of them is left beside the images."""


def attention_of_layers(
    model: nn.Module, x_NCHW: Tensor, class_N: Tensor, classes: Sequence[int]
) -> list[LayerAttention]:
    """Sum up the attention maps of each AW-convolution in a network.

    Args:
        model: Takes images (N, C, H, W).
        x_NCHW: Images as the network wants them.
        class_N: Class of each.
        classes: Those that are told apart, in this order; each has an image.

    Returns:
        One entry per AW-convolution, in the order of the forward pass; none without any.
    """
    tallies: dict[str, _Tally] = {}
    with ExitStack() as stack:
        for name, module in model.named_modules():
            if isinstance(module, AWConv2d):
                tally = _Tally(name, module)
                note = _noting(tallies, tally)
                stack.enter_context(module.register_forward_pre_hook(note))
        stack.enter_context(evaluating(model))
        stack.enter_context(torch.no_grad())
        for some in x_NCHW.split(IMAGES_AT_ONCE):
            model(some)
    labels = class_N.cpu()
    return [tally.summary(labels, classes) for tally in tallies.values()]


def _noting(tallies: dict[str, "_Tally"], tally: "_Tally") -> Callable[..., None]:
    def note(module: AWConv2d, inputs: tuple[Tensor]) -> None:
        tallies[tally.layer] = tally
        maps_NOIhw = module.block_maps(inputs[0]).float()
        tally.add(maps_NOIhw.expand(len(inputs[0]), -1, -1, -1, -1))

    return note


class _Tally:
    """Sums over the maps of a layer; dims that are shared whole have size 1 in them."""

    def __init__(self, layer: str, module: AWConv2d) -> None:
        self.layer = layer
        self.f2 = module.f2
        self.sizes = {str(dim): size for dim, size in module.map_sizes.items()}
        shared = shared_sizes(module.expand, module.map_sizes)
        self.distinct = {str(dim): shared[dim] for dim in module.map_sizes}
        self.followed = next(
            (dim for dim in ("c2", "c1") if self.distinct[dim] > 1),
            "taps" if self.distinct["h"] * self.distinct["w"] > 1 else "c2",
        )
        self.histogram = torch.zeros(BINS, dtype=torch.float64)
        self.squares = 0.0
        self.profiles: dict[str, list[Tensor]] = {dim: [] for dim in MARGINS}

    def add(self, maps_NOIhw: Tensor) -> None:
        """Count the maps of some images."""
        maps = maps_NOIhw.double()
        self.histogram += torch.histc(maps_NOIhw, BINS, 0, 1).double().cpu()
        self.squares += maps.square().mean((1, 2, 3, 4)).sum().item()
        for dim, over in MARGINS.items():
            self.profiles[dim].append(maps.mean(over).flatten(1).cpu())

    def summary(self, class_N: Tensor, classes: Sequence[int]) -> LayerAttention:
        """Take the means."""
        profiles = {dim: torch.cat(some) for dim, some in self.profiles.items()}
        profile_NF = profiles[self.followed]
        mean = profile_NF.mean().item()
        variance = max(0.0, self.squares / len(profile_NF) - mean**2)
        by_class_KF = torch.stack([profile_NF[class_N == label].mean(0) for label in classes])
        chosen = torch.linspace(0, profile_NF.shape[1] - 1, min(MOST_FOLLOWED, profile_NF.shape[1]))
        return LayerAttention(
            layer=self.layer,
            sizes=self.sizes,
            distinct=self.distinct,
            f2=self.f2,
            mean=mean,
            sd=variance**0.5,
            histogram=(self.histogram / self.histogram.sum()).tolist(),
            variance=variance_shares(profiles, variance),
            followed=self.followed,
            by_class=by_class_KF[:, chosen.round().long()].tolist(),
            class_share=class_share(profile_NF, class_N, classes),
        )


def variance_shares(profiles: Mapping[str, Tensor], variance: float) -> dict[str, float]:
    """Split the variance of A into main effects and interactions, as an analysis of variance does.

    Args:
        profiles: By dim, means (N, F) of A over all others, for each image.
        variance: Of all values of A.
    """
    if variance <= 0:
        return dict.fromkeys(SOURCES, 0.0)
    image = next(iter(profiles.values())).mean(1).var(correction=0).item()
    shares = {"image": image / variance}
    for dim, profile_NF in profiles.items():
        shares[dim] = profile_NF.mean(0).var(correction=0).item() / variance
        both = profile_NF.var(correction=0).item() / variance
        shares[f"image_{dim}"] = max(0.0, both - shares[dim] - shares["image"])
    return shares | {"rest": max(0.0, 1 - sum(shares.values()))}


def class_share(profile_NF: Tensor, class_N: Tensor, classes: Sequence[int]) -> float:
    """Share of the variance between images that their class explains, adjusted for chance.

    1 - (SS_within / (N - K)) / (SS_total / (N - 1)), and 0 where that is negative or where there
    are no more images than classes.
    """
    images = len(profile_NF)
    if images <= len(classes):
        return 0.0
    total = (profile_NF - profile_NF.mean(0)).square().sum().item()
    within = 0.0
    for label in classes:
        of_class = profile_NF[class_N == label]
        within += (of_class - of_class.mean(0)).square().sum().item()
    if total <= 0:
        return 0.0
    return max(0.0, 1 - (within / (images - len(classes))) / (total / (images - 1)))
