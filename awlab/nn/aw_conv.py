"""The AW-convolution (Zhu et al., "An Attention Module for Convolutional Neural Networks")."""

# Shape suffixes: N batch, I in channels (of one group in weights and maps), O out channels,
# H W image, h w kernel.

from collections.abc import Callable
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from awlab.nn.expand import DIMS, Dim, Expand, check_ratio, repeat_blocks, shared_sizes
from awlab.nn.gated_conv import gated_conv2d
from awlab.nn.geometry import pad
from awlab.nn.pointwise_conv import PointwiseConv2d
from awlab.nn.pooling import adaptive_average_pool

RUNNING_MAPS_MOMENTUM = 0.1
UNTRAINED_MAP = 0.5  # sigmoid(0): the mean of what fresh batch norms let through
PAPER_EXPAND: Expand = MappingProxyType({"c1": "full"})

F2: dict[str, Callable[[Tensor], Tensor]] = {
    "residual": lambda maps: 1 + maps,  # AK = K + A * K, Eq. 6
    "product": lambda maps: maps,  # AK = A * K, Eq. 4
}
"""F2 as the gate that multiplies K: AK = gate(A) * K."""

NORMS: dict[str, Callable[..., nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "layer": partial(nn.GroupNorm, 1),  # one group of all channels
}
"""Norms of F1, made for a number of channels."""


class AWConv2d(nn.Conv2d):
    """Convolve each sample with weights that an attention branch has gated (AW-convolution).

    O = conv(I, AK) + bias with AK = F2(A, K) and A = F1(I) in the shape of the weights. A drop-in
    for `torch.nn.Conv2d`: `weight` (K) and `bias` have its names, shapes and initialisation.

    F1 (Eq. 7) pools the image to the kernel's size, then: 1x1 convolution, batch norm, ReLU, 1x1
    convolution, batch norm, sigmoid, Expand. Its batch norms see N*h*w values of each channel: of
    two they leave but a sign, of one nothing, which torch refuses. So 1x1 convolutions at one or
    two samples, as in detectors, want `norm="layer"`.

    Args:
        in_channels: C1 of the paper.
        out_channels: C2 of the paper.
        kernel_size: As the following ones, of `torch.nn.Conv2d`.
        stride: Of the convolution.
        padding: Also "same" and "valid".
        dilation: Of the kernel.
        groups: C1 is then in_channels // groups.
        bias: Whether a bias is added; attention never touches it.
        padding_mode: "zeros", "reflect", "replicate" or "circular".
        device: Of parameters and buffers.
        dtype: Of parameters and buffers.
        expand: Dims of A (n, c2, c1, h, w) along which blocks of this many neighbours share one
            attention value (Eq. 8); "1/4" is a quarter of the dim (any 1/k that divides it), and
            "full" the whole dim. With "n", samples share the mean map of their block in training,
            and evaluation uses `running_maps`, the exponential average (momentum 0.1) of the
            batches' mean maps, so that it does not depend on the batch.
        f2: "residual" for AK = K + A * K (Eq. 6), "product" for AK = A * K.
        reduction: r: the bottleneck of F1 has max(out_channels // r, min_hidden) channels.
        min_hidden: Fewest channels of the bottleneck of F1.
        norm: Of F1. "batch" is the paper's; "layer" takes mean and variance of each sample over all
            its channels and pixels, in training and evaluation alike, with as many parameters.

    Shape:
        Input (N, in_channels, H, W), output as `torch.nn.Conv2d`.

    Raises:
        ValueError: When an argument is out of range or an expand ratio does not divide its dim.
    """

    running_maps: Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: str | int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,  # noqa: FBT001, FBT002
        padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        expand: Expand = PAPER_EXPAND,
        f2: str = "residual",
        reduction: int = 16,
        min_hidden: int = 1,
        norm: str = "batch",
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )
        check_bottleneck(reduction, min_hidden, f2, norm)
        for dim, ratio in expand.items():
            check_ratio(dim, ratio, self.map_sizes.get(dim))
        self.expand = dict(expand)
        self.f2 = f2
        self.reduction = reduction
        self.norm = norm
        self.shared_sizes = shared_sizes(self.expand, self.map_sizes)
        hidden = max(out_channels // reduction, min_hidden)
        maps = self.shared_sizes["c2"] * self.shared_sizes["c1"]
        if norm == "layer":
            check_layer_norm(min(hidden, maps) * self.shared_sizes["h"] * self.shared_sizes["w"])
        self.attention = attention_branch(
            in_channels, hidden, maps, norm, device=device, dtype=dtype
        )
        running_maps = None
        if "n" in expand:
            shape = (1, *self.shared_sizes.values())
            running_maps = torch.full(shape, UNTRAINED_MAP, device=device, dtype=dtype)
        self.register_buffer("running_maps", running_maps)

    @property
    def map_sizes(self) -> dict[Dim, int]:
        """Sizes of the dims of the attention maps, without the batch."""
        return dict(zip(DIMS[1:], self.weight.shape, strict=True))

    def reset_parameters(self) -> None:
        super().reset_parameters()
        running_maps = getattr(self, "running_maps", None)  # not there yet when torch first calls
        if running_maps is not None:
            running_maps.fill_(UNTRAINED_MAP)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        if input.ndim != 4:
            raise ValueError(f"input has the shape {tuple(input.shape)}; expected (N, C1, H, W)")
        maps_BOIhw = self.block_maps(input)  # F1, Eqs. 7 and 8
        gate_BOIhw = F2[self.f2](maps_BOIhw)  # F2, Eq. 6: AK = gate * K
        x_NIHW, geometry = pad(self, input)
        y_NOHW = gated_conv2d(x_NIHW, self.weight, gate_BOIhw, geometry)  # F3, Eqs. 4 and 5
        return y_NOHW if self.bias is None else y_NOHW + self.bias.to(y_NOHW.dtype)[:, None, None]

    def attention_maps(self, x_NIHW: Tensor) -> Tensor:
        """Return A (Eqs. 7 and 8), expandable to (N, C2, C1 // groups, h, w), in (0, 1)."""
        maps_BOIhw = self.block_maps(x_NIHW)
        return repeat_blocks(maps_BOIhw, {"n": x_NIHW.shape[0]})

    def block_maps(self, x_NIHW: Tensor) -> Tensor:
        """Return A with one map for each block of samples that share it; without `n`, for each."""
        if self.running_maps is not None and not self.training:
            return repeat_blocks(self.running_maps, self.map_sizes)
        sizes = self.shared_sizes
        pooled_NIhw = adaptive_average_pool(x_NIHW, (sizes["h"], sizes["w"]))
        maps_NOIhw = self.attention(pooled_NIhw).unflatten(1, (sizes["c2"], sizes["c1"]))
        if self.running_maps is not None:
            maps_NOIhw = self.share_over_samples(maps_NOIhw, self.running_maps)
        return repeat_blocks(maps_NOIhw, self.map_sizes)

    def share_over_samples(self, maps_NOIhw: Tensor, running_maps: Tensor) -> Tensor:
        """Average the maps of each block of samples, and all of them into `running_maps`."""
        batch = maps_NOIhw.shape[0]
        check_ratio("n", self.expand["n"], batch)
        mean_maps = maps_NOIhw.detach().mean(0, keepdim=True).to(running_maps)
        running_maps.lerp_(mean_maps, RUNNING_MAPS_MOMENTUM)
        blocks = shared_sizes(self.expand, {"n": batch})["n"]
        return maps_NOIhw.unflatten(0, (blocks, -1)).mean(1)

    def extra_repr(self) -> str:
        expand = ", ".join(f"{dim}: {ratio}" for dim, ratio in self.expand.items())
        f1 = f"expand={{{expand}}}, f2={self.f2}, reduction={self.reduction}, norm={self.norm}"
        return f"{super().extra_repr()}, {f1}"


def attention_branch(
    in_channels: int, hidden: int, out_channels: int, norm: str, **factory: Any
) -> nn.Sequential:
    """Build Pointconv1 and Pointconv2 of Eq. 7 with their norms and activations.

    They see tiny images, so that on a GPU the number of kernels decides: what they yield is laid
    out channels-last, as the kernels of the gated convolution read it.
    """
    return nn.Sequential(
        PointwiseConv2d(in_channels, hidden, **factory),
        NORMS[norm](hidden, **factory),
        nn.ReLU(inplace=True),
        PointwiseConv2d(hidden, out_channels, **factory),
        NORMS[norm](out_channels, **factory),
        nn.Sigmoid(),
    )


def check_bottleneck(reduction: int, min_hidden: int, f2: str, norm: str) -> None:
    """Refuse what `AWConv2d` adds to the arguments of `torch.nn.Conv2d` and no shape explains."""
    for name, value in {"reduction": reduction, "min_hidden": min_hidden}.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} (={value!r}) must be an integer of at least 1")
    if f2 not in F2:
        raise ValueError(f"f2 (={f2!r}) must be one of {', '.join(F2)}")
    if norm not in NORMS:
        raise ValueError(f"norm (={norm!r}) must be one of {', '.join(NORMS)}")


def check_layer_norm(values: int) -> None:
    """Refuse layer norms over so few numbers that they leave but a sign, or nothing."""
    if values < 3:
        raise ValueError(
            f"norm 'layer' would see {values} values of each sample, and needs at least 3: raise "
            "min_hidden, or share less by expand"
        )
