import pytest
import torch
from torch import Tensor

from awlab.nn.cbam import CBAM, SpatialGate


def literal_channel_gate(cbam: CBAM, x: Tensor, *, max_pool: bool) -> Tensor:
    """Woo et al., Eq. 2, sample by sample and channel by channel."""
    state = cbam.channel.mlp.state_dict()

    def mlp(pooled: Tensor) -> Tensor:
        hidden = (state["0.weight"][:, :, 0, 0] @ pooled + state["0.bias"]).clamp(min=0)
        return state["2.weight"][:, :, 0, 0] @ hidden + state["2.bias"]

    y = torch.empty_like(x)
    for n, sample in enumerate(x):
        logits = mlp(torch.stack([channel.sum() / channel.numel() for channel in sample]))
        if max_pool:
            logits = logits + mlp(torch.stack([channel.max() for channel in sample]))
        for c in range(len(sample)):
            y[n, c] = x[n, c] / (1 + torch.exp(-logits[c]))
    return y


def literal_spatial_gate(gate: SpatialGate, x: Tensor) -> Tensor:
    """Woo et al., Eq. 3, pixel by pixel, with the running statistics of the norm."""
    height, width = x.shape[2:]
    norm = gate.bn.state_dict()
    y = torch.empty_like(x)
    for n in range(len(x)):
        for row in range(height):
            for column in range(width):
                logit = torch.tensor(0.0, dtype=x.dtype)
                for j in range(7):
                    for k in range(7):
                        at, to = row + j - 3, column + k - 3
                        if 0 <= at < height and 0 <= to < width:
                            pixel = x[n, :, at, to]
                            logit = logit + gate.conv.weight[0, 0, j, k] * pixel.max()
                            logit = logit + gate.conv.weight[0, 1, j, k] * pixel.mean()
                centred = (logit - norm["running_mean"]) / (norm["running_var"] + 1e-5) ** 0.5
                logit = norm["weight"] * centred + norm["bias"]
                y[n, :, row, column] = x[n, :, row, column] / (1 + torch.exp(-logit))
    return y


@pytest.mark.parametrize("variant", ["full", "max_pool", "spatial"])
def test_equals_the_literal_definition(variant):
    torch.manual_seed(0)
    cbam = CBAM(6, 2, variant).double().eval()
    if variant != "max_pool":
        norm = {"weight": 1.5, "bias": -0.3, "running_mean": 0.2, "running_var": 0.7}
        state = {name: torch.tensor([value]) for name, value in norm.items()}
        cbam.spatial.bn.load_state_dict(state, strict=False)
    x = torch.randn(2, 6, 4, 5, dtype=torch.float64)
    expected = literal_channel_gate(cbam, x, max_pool=variant != "spatial")
    if variant != "max_pool":
        expected = literal_spatial_gate(cbam.spatial, expected)
    torch.testing.assert_close(cbam(x), expected)


@pytest.mark.parametrize("variant", ["full", "max_pool", "spatial"])
def test_parameters(variant):
    """64 channels: 64 * 4 + 4 + 4 * 64 + 64 of the MLP, 7 * 7 * 2 + 2 of the spatial gate."""
    cbam = CBAM(64, 16, variant)
    expected = 580 + (0 if variant == "max_pool" else 100)
    assert sum(parameter.numel() for parameter in cbam.parameters()) == expected


def test_few_channels_leave_one_hidden_channel():
    assert CBAM(8, 16).channel.mlp.state_dict()["0.weight"].shape == (1, 8, 1, 1)


def test_begins_with_one_gate_for_all_pixels():
    x = torch.randn(3, 4, 5, 5)
    torch.testing.assert_close(SpatialGate()(x), x / 2)


def test_refuses_an_unknown_variant():
    with pytest.raises(ValueError, match=r"^variant \(='avg'\) must be one of full, max_pool, s"):
        CBAM(8, variant="avg")
