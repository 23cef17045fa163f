"""CondConv (Yang et al., "CondConv: Conditionally Parameterized Convolutions", NeurIPS 2019)."""

# Shape suffixes: N batch, I in channels, H W image, E experts.

from torch import Tensor, nn

from awlab.models.zoo import import_timm


class CondConv2d(nn.Module):
    """Convolve each sample with a sum of kernels, weighted by what the sample looks like.

    The sum and the convolution are timm's (extra `zoo`); the routing is the paper's: the mean over
    the image, a linear layer, a sigmoid.

    Args:
        in_channels: As the following ones, of `torch.nn.Conv2d`.
        out_channels: Of the sum.
        kernel_size: Of every kernel.
        stride: Of the convolution.
        padding: Of the convolution.
        dilation: Of the convolution.
        groups: Of the convolution.
        bias: Whether every kernel comes with a bias.
        experts: Kernels that are summed.

    Shape:
        As `torch.nn.Conv2d`.

    Raises:
        ValueError: Without timm.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,  # noqa: FBT001, FBT002
        *,
        experts: int = 4,
    ) -> None:
        super().__init__()
        self.routing = nn.Linear(in_channels, experts)
        self.conv = import_timm("timm.layers").CondConv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=bias,
            num_experts=experts,
        )

    def reset_parameters(self) -> None:
        """Draw every kernel as an ordinary convolution of ours begins; see `initialise`."""
        for kernel in self.conv.weight.detach().unflatten(1, self.conv.weight_shape):
            nn.init.kaiming_normal_(kernel, mode="fan_out", nonlinearity="relu")
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x_NIHW: Tensor) -> Tensor:
        shares_NE = self.routing(x_NIHW.mean((2, 3))).sigmoid()
        return self.conv(x_NIHW, shares_NE)
