"""The Convolutional Block Attention Module (Woo et al., ECCV 2018, arXiv 1807.06521)."""

# Shape suffixes: N batch, C channels, H W image; 1 and 2 are literal.

import torch
from torch import Tensor, nn


class ChannelGate(nn.Module):
    """Scale each channel by sigmoid(MLP(avg) + MLP(max)) of its pooled values (Eq. 2).

    Args:
        channels: Of the input.
        reduction: The MLP has max(channels // reduction, 1) hidden channels.
        max_pool: Whether the MLP also sees the maxima.
    """

    def __init__(self, channels: int, reduction: int = 16, *, max_pool: bool = True) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.max_pool = max_pool
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.ReLU(inplace=True), nn.Conv2d(hidden, channels, 1)
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        logits_NC11 = self.mlp(x_NCHW.mean((2, 3), keepdim=True))
        if self.max_pool:
            logits_NC11 = logits_NC11 + self.mlp(x_NCHW.amax((2, 3), keepdim=True))
        return x_NCHW * logits_NC11.sigmoid()


class SpatialGate(nn.Module):
    """Scale each pixel by sigmoid(BN(conv7x7([max, mean]))) over its channels (Eq. 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.bn = nn.BatchNorm2d(1, momentum=0.01)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Begin with the same gate, 1/2, at every pixel, as the code of Woo et al. does."""
        nn.init.zeros_(self.bn.weight)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        pooled_N2HW = torch.cat((x_NCHW.amax(1, keepdim=True), x_NCHW.mean(1, keepdim=True)), 1)
        return x_NCHW * self.bn(self.conv(pooled_N2HW)).sigmoid()


class CBAM(nn.Sequential):
    """A channel gate, then a spatial gate.

    Args:
        channels: Of input and output.
        reduction: Channels over hidden channels of the channel gate.
        variant: "full"; "max_pool" without the spatial gate; "spatial" without maxima in the
            channel gate (the CBAM (MaxPool) and CBAM (Spatial) of Zhu et al., Table 1).

    Raises:
        ValueError: For another variant.
    """

    def __init__(self, channels: int, reduction: int = 16, variant: str = "full") -> None:
        if variant not in ("full", "max_pool", "spatial"):
            raise ValueError(f"variant (={variant!r}) must be one of full, max_pool, spatial")
        super().__init__()
        self.channel = ChannelGate(channels, reduction, max_pool=variant != "spatial")
        if variant != "max_pool":
            self.spatial = SpatialGate()
