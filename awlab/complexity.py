"""Parameters and multiply-accumulates (MACs) of a network, beside those that a paper prints."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.ssd import SSD

from awlab import build
from awlab.nn import AttentionAugmentedConv2d, AWConv2d, SqueezeExcitation
from awlab.nn.cbam import ChannelGate, SpatialGate
from awlab.spec.detector import Detector
from awlab.spec.experiment import Experiment, Paper


@dataclass(frozen=True)
class Part:
    """A stage of a network, or all of it.

    Attributes:
        name: Of the top-level module, or `total`.
        parameters: Trained numbers.
        macs: For one image, in the convention of Zhu et al. (see `own_macs`).
        torch_macs: For one image, half of what torch's flop counter sees in what really runs.
    """

    name: str
    parameters: int
    macs: int
    torch_macs: int


@dataclass(frozen=True)
class Profile:
    """What a network costs.

    Attributes:
        parts: Its stages, in the order of the forward pass.
        aw_convolutions: Dotted names of the AW-convolutions in it.
    """

    parts: tuple[Part, ...]
    aw_convolutions: tuple[str, ...] = ()

    @property
    def total(self) -> Part:
        """The sum of the parts."""
        return Part(
            "total",
            sum(part.parameters for part in self.parts),
            sum(part.macs for part in self.parts),
            sum(part.torch_macs for part in self.parts),
        )


@dataclass(frozen=True)
class Comparison:
    """One of our numbers beside the one that a paper prints.

    Attributes:
        quantity: `parameters_m` (millions) or `gmacs` (billions).
        ours: Not rounded.
        printed: By the paper.
        decimals: Of the printed number, at least two; ours is rounded to as many to be compared.
        verdict: Whether they are equal then.
        note: Why they differ, where the spec of the experiment knows.
    """

    quantity: Literal["parameters_m", "gmacs"]
    ours: float
    printed: float
    decimals: int
    verdict: Literal["match", "differs"]
    note: str | None


def profile(experiment: Experiment) -> Profile:
    """Count parameters and MACs of the network of an experiment, without computing anything.

    Raises:
        InputError: When a layer does not fit.
    """
    with torch.device("meta"):
        return profile_network(build.network(experiment, begin=False), empty_image(experiment))


def empty_image(experiment: Experiment) -> Tensor:
    """An image of the size that the network of an experiment sees, (1, channels, height, width)."""
    model, data = experiment.model, experiment.data
    square = (data.image_size, data.image_size)
    size = model.input_size if isinstance(model, Detector) else square
    return torch.empty(1, data.channels, *size)


@singledispatch
def evaluate(network: nn.Module, images: Tensor) -> Any:
    """Let images (N, channels, height, width) through all parts of a network that have a cost.

    Register a class of yours whose forward pass cannot run without values.
    """
    return network(images)


@evaluate.register
def _(network: FasterRCNN, images: Tensor) -> None:
    """Backbone and heads: what lies between depends on values, and torch counts nothing of it."""
    rpn: Any = network.rpn
    heads: Any = network.roi_heads
    maps = network.backbone(images)
    rpn.head(list(maps.values()))
    regions = rpn._post_nms_top_n["testing"] * len(images)
    pooled = images.new_empty(regions, maps["0"].shape[1], *heads.box_roi_pool.output_size)
    heads.box_predictor(heads.box_head(pooled))


@evaluate.register
def _(network: SSD, images: Tensor) -> None:
    network.head(list(network.backbone(images).values()))


def profile_network(network: nn.Module, image: Tensor) -> Profile:
    """Count parameters and MACs of a network for one image, (1, channels, height, width)."""
    parameters = Counter[str]()
    for name, parameter in network.named_parameters():
        parameters[_part_of(name)] += parameter.numel()
    macs, torch_macs = _count_macs(network, image)
    names = [name for name, _ in network.named_children()]
    names += [name for name in (parameters | macs) if name not in names]
    parts = (Part(name, parameters[name], macs[name], torch_macs[name]) for name in names)
    aw = (name for name, module in network.named_modules() if isinstance(module, AWConv2d))
    return Profile(tuple(part for part in parts if part.parameters or part.macs), tuple(aw))


def compare(profile: Profile, paper: Paper) -> tuple[Comparison, ...]:
    """Set our parameters and MACs beside those that the paper prints, as far as it does."""
    total = profile.total
    pairs: tuple[tuple[Literal["parameters_m", "gmacs"], float, float | None], ...] = (
        ("parameters_m", total.parameters / 1e6, paper.parameters_m),
        ("gmacs", total.macs / 1e9, paper.gmacs),
    )
    comparisons = []
    for quantity, ours, printed in pairs:
        if printed is not None:
            # YAML drops trailing zeros: 8.50 in a table arrives as 8.5.
            decimals = max(2, len(str(printed).partition(".")[2]))
            match = round(ours, decimals) == round(printed, decimals)
            verdict, note = ("match", None) if match else ("differs", paper.note)
            comparisons.append(Comparison(quantity, ours, printed, decimals, verdict, note))
    return tuple(comparisons)


@singledispatch
def own_macs(module: nn.Module, x: Tensor, y: Tensor) -> int | None:
    """Count what a module does itself, without those it holds, in the convention of Zhu et al.

    All ResNet50 rows of their Tables 1 and 2 follow from: the MACs of convolutions and linear
    layers, one operation per element for each pooling and rescaling of an attention module, one for
    each product of A * K. Norms, activations, the sum of Eq. 6, the pooling of F1 and of the last
    maps are not counted.

    Register a class to count it in this way; None leaves it to torch's flop counter.

    Args:
        module: Its class decides.
        x: Its first input.
        y: Its output.
    """
    return None


@own_macs.register
def _(module: nn.Conv2d, x: Tensor, y: Tensor) -> int:
    return y.numel() * module.weight[0].numel()


@own_macs.register
def _(module: nn.Linear, x: Tensor, y: Tensor) -> int:
    return y.numel() * module.in_features


@own_macs.register
def _(module: AWConv2d, x: Tensor, y: Tensor) -> int:
    return y.numel() * module.weight[0].numel() + module.weight.numel() * len(x)


@own_macs.register
def _(module: AttentionAugmentedConv2d, x: Tensor, y: Tensor) -> int:
    """Products of q with k and with both tables, weighted sum of v (Bello et al., Eqs. 1 and 3)."""
    pixels = y[0, 0].numel()
    tables = (table for table in (module.key_rel_h, module.key_rel_w) if table is not None)
    positions = sum(len(table) for table in tables)
    per_pixel = (pixels + positions) * module.key_dims + pixels * module.value_dims
    return len(y) * pixels * per_pixel


@own_macs.register
def _(module: SqueezeExcitation, x: Tensor, y: Tensor) -> int:
    return 2 * x.numel()


@own_macs.register
def _(module: ChannelGate, x: Tensor, y: Tensor) -> int:
    return (3 if module.max_pool else 2) * x.numel()


@own_macs.register
def _(module: SpatialGate, x: Tensor, y: Tensor) -> int:
    return 3 * x.numel()


def _count_macs(network: nn.Module, image: Tensor) -> tuple[Counter[str], Counter[str]]:
    """Return for each top-level module the MACs in the paper's convention and by torch's counter.

    What torch counts while a module runs, less what it counts while those inside run, is the
    module's own; where `own_macs` knows the module, its number takes that place.
    """
    macs, torch_macs = Counter[str](), Counter[str]()
    inside = [0]  # flops seen in the finished children of each running module
    began: list[int] = []
    counter = FlopCounterMode(display=False)

    def enter(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        began.append(counter.get_total_flops())
        inside.append(0)

    def leave(name: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        flops = counter.get_total_flops() - began.pop()
        own = (flops - inside.pop()) // 2
        inside[-1] += flops
        known = own_macs(module, *inputs[:1], output) if inputs else None
        macs[name] += own if known is None else known
        torch_macs[name] += own

    with ExitStack() as stack:
        for name, module in network.named_modules():
            part = _part_of(name)
            stack.enter_context(module.register_forward_pre_hook(enter))
            stack.enter_context(
                module.register_forward_hook(lambda *call, part=part: leave(part, *call))
            )
        stack.enter_context(_evaluated(network))
        stack.enter_context(counter)
        evaluate(network, image)
    return macs, torch_macs


@contextmanager
def _evaluated(network: nn.Module) -> Iterator[None]:
    """Run in evaluation mode: norms of one value have no statistics in training mode."""
    training = [module for module in network.modules() if module.training]
    # The fast path of nn.MultiheadAttention hides from the flop counter.
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for module in training:
            module.training = True


def _part_of(name: str) -> str:
    return name.partition(".")[0] or "network"
