import copy
import math
import pickle
from itertools import chain, combinations, product

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode

from awlab.nn import gated_conv
from awlab.nn.aw_conv import F2, AWConv2d
from awlab.nn.expand import DIMS
from awlab.nn.geometry import Geometry

SUBSETS = list(chain.from_iterable(combinations(DIMS, count) for count in range(6)))
SAMPLES, INPUTS, OUTPUTS, KERNEL = 2, 2, 4, (2, 2)


def build(expand, f2="residual", **settings):
    torch.manual_seed(0)
    settings = {"padding": 1, "reduction": 2, "dtype": torch.float64} | settings
    conv = AWConv2d(INPUTS, OUTPUTS, KERNEL, expand=expand, f2=f2, **settings)
    for parameter in conv.attention.parameters():
        nn.init.normal_(parameter)
    return conv


def draw_image(samples=SAMPLES, channels=INPUTS, size=(3, 4), dtype=torch.float64):
    torch.manual_seed(1)
    return torch.randn(samples, channels, *size, dtype=dtype)


def literal_f1(conv, x):
    """A_2 of Eq. 7 with the batch's statistics, number by number, as a function of its index."""
    sizes = conv.shared_sizes
    first, norm1, _, second, norm2, _ = conv.attention
    positions = list(product(range(len(x)), range(sizes["h"]), range(sizes["w"])))

    def pooled(n, i, row, column):
        height, width = x.shape[2:]
        rows = slice(row * height // sizes["h"], math.ceil((row + 1) * height / sizes["h"]))
        columns = slice(column * width // sizes["w"], math.ceil((column + 1) * width / sizes["w"]))
        return x[n, i, rows, columns].mean().item()

    def pointwise(weight, values):
        weights = weight[:, :, 0, 0].tolist()
        return {
            at: [sum(w * v for w, v in zip(row, values[at], strict=True)) for row in weights]
            for at in positions
        }

    def normalise(norm, values):
        channels = []
        for c, (gamma, beta) in enumerate(
            zip(norm.weight.tolist(), norm.bias.tolist(), strict=True)
        ):
            channel = [values[at][c] for at in positions]
            mean = sum(channel) / len(channel)
            variance = sum((value - mean) ** 2 for value in channel) / len(channel)
            channels.append(
                [gamma * (v - mean) / math.sqrt(variance + norm.eps) + beta for v in channel]
            )
        return dict(zip(positions, zip(*channels, strict=True), strict=True))

    a0 = {(n, j, k): [pooled(n, i, j, k) for i in range(x.shape[1])] for n, j, k in positions}
    hidden = normalise(norm1, pointwise(first.weight, a0))
    a1 = {at: [max(value, 0.0) for value in values] for at, values in hidden.items()}
    logits = normalise(norm2, pointwise(second.weight, a1))
    a2 = {at: [1 / (1 + math.exp(-value)) for value in values] for at, values in logits.items()}
    return lambda n, o, i, j, k: a2[n, j, k][o * sizes["c1"] + i]


def literal_maps(conv, x):
    """A of Eq. 8: along each dim, blocks of r neighbours have one value; samples their mean."""
    a2 = literal_f1(conv, x)
    shape = (len(x), OUTPUTS, conv.weight.shape[1], *KERNEL)
    ratio = {
        dim: size if conv.expand.get(dim) == "full" else conv.expand.get(dim, 1)
        for dim, size in zip(DIMS, shape, strict=True)
    }

    def value(n, o, i, j, k):
        first = n // ratio["n"] * ratio["n"]
        block = range(first, first + ratio["n"])
        at = (o // ratio["c2"], i // ratio["c1"], j // ratio["h"], k // ratio["w"])
        return sum(a2(sample, *at) for sample in block) / len(block)

    values = [value(*index) for index in product(*map(range, shape))]
    return torch.tensor(values, dtype=torch.float64).view(shape)


@pytest.mark.parametrize("f2", F2)
@pytest.mark.parametrize("ratio", ["full", 2])
@pytest.mark.parametrize("dims", SUBSETS, ids="".join)
def test_is_the_literal_sum_of_equations_4_to_8(dims, ratio, f2, literal_conv):
    conv = build(dict.fromkeys(dims, ratio), f2)
    x = draw_image()
    maps = literal_maps(conv, x)
    torch.testing.assert_close(conv.attention_maps(x).expand_as(maps), maps)
    kernel = conv.weight.detach()
    attended = kernel + maps * kernel if f2 == "residual" else maps * kernel
    expected = literal_conv(x, attended, Geometry(padding=(1, 1)))
    torch.testing.assert_close(conv(x), expected + conv.state_dict()["bias"][:, None, None])


@pytest.mark.parametrize("f2", F2)
@pytest.mark.parametrize("ratio", ["full", 2])
@pytest.mark.parametrize("dims", SUBSETS, ids="".join)
def test_gradients(dims, ratio, f2):
    conv = build(dict.fromkeys(dims, ratio), f2)
    names, parameters = zip(*conv.named_parameters(), strict=True)

    def run(x, *values):
        return torch.func.functional_call(conv, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(
        run, (draw_image().requires_grad_(), *parameters), fast_mode=True
    )


@pytest.mark.parametrize("form", ["taps", "grouped"])
@pytest.mark.parametrize("expand", [{"c1": "full"}, {"c2": "full", "n": 2}])
def test_forms_train_alike(form, expand, monkeypatch):
    def train():
        torch.manual_seed(0)
        settings = {"padding": "same", "expand": expand, "dtype": torch.float64}
        net = nn.Sequential(
            AWConv2d(3, 6, 3, **settings), nn.ReLU(), AWConv2d(6, 4, 5, **settings), nn.Flatten()
        )
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        for _ in range(10):
            optimizer.zero_grad()
            x = torch.randn(4, 3, 5, 6, dtype=torch.float64)
            net(x).square().mean().backward()
            optimizer.step()
        return net.state_dict()

    expected = train()
    monkeypatch.setattr(gated_conv, "choose", lambda *_: form)
    torch.testing.assert_close(train(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", ["same", "valid", (2, 1)])
@pytest.mark.parametrize("settings", [{}, {"groups": 2}, {"dilation": (1, 2), "bias": False}])
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_without_attention_it_is_the_ordinary_convolution(mode, padding, settings, monkeypatch):
    monkeypatch.setitem(F2, "none", torch.ones_like)
    settings = settings | {"padding": padding, "padding_mode": mode}
    conv, plain = AWConv2d(4, 6, (2, 3), f2="none", **settings), nn.Conv2d(4, 6, (2, 3), **settings)
    conv.load_state_dict(plain.state_dict(), strict=False)
    x = draw_image(3, 4, (7, 8), torch.float32)
    torch.testing.assert_close(conv(x), plain(x))


@pytest.mark.parametrize(
    "settings",
    [
        {"stride": 2},
        {"stride": (1, 3), "padding": (0, 2)},
        {"dilation": 2, "padding": 2},
        {"groups": 2},
        {"groups": 2, "expand": {"c2": "full"}},
        {"groups": 4, "expand": {"c1": "full", "h": "full", "w": "full"}},
        {"groups": 2, "expand": {"c2": "full", "h": "full", "w": "full"}},
        {"expand": {"c1": 2, "c2": 2, "h": 3}},
    ],
)
@pytest.mark.parametrize("samples", [1, 3])
def test_each_sample_is_convolved_with_its_own_weights(settings, samples):
    # One value has no variance, so one sample with one map cannot train.
    conv = AWConv2d(4, 8, 3, dtype=torch.float64, **settings).train(samples > 1)
    x = draw_image(samples, 4, (9, 7))
    shape = (samples, *conv.weight.shape)
    attended = conv.weight * (1 + conv.attention_maps(x).expand(shape))
    plain = {name: value for name, value in settings.items() if name != "expand"}
    pairs = zip(x, attended, strict=True)
    expected = [F.conv2d(image, weight, conv.bias, **plain) for image, weight in pairs]
    torch.testing.assert_close(conv(x), torch.stack(expected))


@pytest.mark.parametrize("expand", [{}, {"c1": "full"}, {"c2": "full"}, {"h": "full", "w": "full"}])
def test_the_gate_never_touches_the_bias(expand):
    conv = build(expand)
    nn.init.zeros_(conv.weight)
    assert conv.bias is not None
    nn.init.constant_(conv.bias, 3)
    assert torch.equal(conv(draw_image()), torch.full((SAMPLES, OUTPUTS, 4, 5), 3.0).double())


@pytest.mark.parametrize(
    ("channels", "expand", "reduction", "min_hidden", "hidden", "maps"),
    [
        ((64, 64), {"c1": "full"}, 16, 1, 4, 64),
        ((160, 288), {"c1": "full"}, 16, 1, 18, 288),
        ((256, 24), {"c1": "full"}, 16, 8, 8, 24),
        ((8, 8), {"c1": "full"}, 16, 1, 1, 8),
        ((64, 64), {"c1": 32}, 8, 1, 8, 128),
        ((64, 64), {}, 16, 1, 4, 4096),
        ((64, 32), {"c2": "full"}, 16, 1, 2, 64),
    ],
)
def test_parameters_of_the_attention_branch(channels, expand, reduction, min_hidden, hidden, maps):
    inputs, outputs = channels
    bottleneck = {"reduction": reduction, "min_hidden": min_hidden}
    conv = AWConv2d(inputs, outputs, 3, device="meta", expand=expand, **bottleneck)
    plain = nn.Conv2d(inputs, outputs, 3, device="meta")
    added = sum(map(torch.numel, conv.parameters())) - sum(map(torch.numel, plain.parameters()))
    assert added == inputs * hidden + hidden * maps + 2 * hidden + 2 * maps


def test_layer_norms_see_each_sample_alone():
    conv, x = build({"c1": "full"}, norm="layer"), draw_image(samples=3)
    first, norm1, _, second, norm2, _ = conv.attention

    def normalise(norm, y):
        y = (y - y.mean()) / (y.var(correction=0) + norm.eps).sqrt()
        return y * norm.weight[:, None, None] + norm.bias[:, None, None]

    for sample in x:
        hidden = normalise(norm1, first(F.adaptive_avg_pool2d(sample, KERNEL))).relu()
        expected = normalise(norm2, second(hidden)).sigmoid()[:, None]
        torch.testing.assert_close(conv.attention_maps(sample[None])[0], expected)
        torch.testing.assert_close(conv.eval()(sample[None]), conv.train()(sample[None]))
    torch.testing.assert_close(conv(x)[:1], conv(x[:1]))


def test_of_two_values_batch_norms_leave_a_sign_and_layer_norms_more():
    def strengths(norm, samples):
        """How far the maps are from 1 / 2."""
        torch.manual_seed(0)
        conv = AWConv2d(INPUTS, 64, 1, norm=norm, dtype=torch.float64)
        return (conv.attention_maps(1e6 * draw_image(samples=samples)) - 0.5).abs()

    one = torch.ones((), dtype=torch.float64).sigmoid() - 0.5
    of_batch = strengths("batch", 2)
    torch.testing.assert_close(of_batch, one.expand_as(of_batch), atol=0.1, rtol=0)
    for samples in (1, 2):
        of_layer = strengths("layer", samples)
        assert of_layer.max() - of_layer.min() > 0.2
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        strengths("batch", 1)


def test_norms_have_as_many_parameters():
    layer, batch = (AWConv2d(8, 32, 3, norm=norm) for norm in ("layer", "batch"))
    assert [p.shape for p in layer.parameters()] == [p.shape for p in batch.parameters()]


def test_a_batch_that_its_blocks_do_not_divide():
    conv = build({"n": 2})
    with pytest.raises(ValueError, match=r"ratio of n \(=2\) must divide its size \(=3\); allowed"):
        conv(draw_image(samples=3))
    conv.eval()
    conv(draw_image(samples=3))


@pytest.mark.parametrize("ratio", ["full", 2])
def test_evaluation_uses_the_running_mean_of_the_maps(ratio):
    conv, reference = build({"n": ratio}), build({})
    expected = torch.full((OUTPUTS, INPUTS, *KERNEL), 0.5, dtype=torch.float64)
    x = draw_image(samples=4)
    for scale in (1, 2, 3):
        x = x.cos() * scale
        conv(x)
        expected = 0.9 * expected + 0.1 * reference.attention_maps(x).mean(0)
    conv.eval()
    torch.testing.assert_close(conv.attention_maps(x).squeeze(0), expected)
    torch.testing.assert_close(conv(x)[:1], conv(x[:1]))
    conv.reset_parameters()
    assert conv.state_dict()["running_maps"].unique().tolist() == [0.5]


def test_takes_the_weights_of_an_ordinary_convolution():
    plain = nn.Conv2d(4, 6, 3)
    conv = AWConv2d(4, 6, 3)
    missing, unexpected = conv.load_state_dict(plain.state_dict(), strict=False)
    for name, value in plain.state_dict().items():
        assert torch.equal(conv.state_dict()[name], value)
    assert not unexpected
    assert all(name.startswith("attention.") for name in missing)


def test_starts_as_an_ordinary_convolution():
    torch.manual_seed(0)
    plain = nn.Conv2d(4, 6, 3)
    torch.manual_seed(0)
    conv = AWConv2d(4, 6, 3)
    for name, value in plain.state_dict().items():
        assert torch.equal(conv.state_dict()[name], value)


@pytest.mark.parametrize("expand", [{"c1": "full"}, {"n": "full", "c2": 2}])
@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda conv: pickle.loads(pickle.dumps(conv))]
)
def test_copies(expand, duplicate):
    conv = build(expand)
    other = duplicate(conv)
    x = draw_image()
    assert torch.equal(other(x), conv(x))
    fresh = build(expand)
    nn.init.zeros_(fresh.weight)
    fresh.load_state_dict(other.state_dict())
    assert torch.equal(fresh.eval()(x), other.eval()(x))


@pytest.mark.parametrize("expand", [{"c1": "full"}, {"n": 2}, {}, {"c2": 2, "h": "full"}])
def test_meta_device(expand):
    conv = AWConv2d(4, 8, (2, 3), expand=expand, device="meta")
    assert conv(torch.empty(2, 4, 7, 8, device="meta")).shape == (2, 8, 6, 6)
    assert conv.to_empty(device="cpu").weight.device.type == "cpu"


@pytest.mark.parametrize("size", [4, 12], ids=["taps", "grouped"])
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiles_in_one_piece(size, backend):
    conv = AWConv2d(64, 64, 3, padding=1, dtype=torch.float64)
    x = draw_image(2, 64, (size, size)).requires_grad_()
    compiled = torch.compile(conv, backend=backend, fullgraph=True)
    expected = torch.autograd.grad(conv(x).square().sum(), (x, *conv.parameters()))
    gradients = torch.autograd.grad(compiled(x).square().sum(), (x, *conv.parameters()))
    torch.testing.assert_close(gradients, expected)


@pytest.mark.parametrize("expand", [{"c1": "full"}, {"c2": "full"}, {"c1": "full", "w": "full"}])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_autocast_and_channels_last(expand, dtype):
    conv = AWConv2d(8, 16, 3, padding=1, expand=expand)
    x = draw_image(4, 8, (6, 6), torch.float32)
    expected = conv(x)
    conv = conv.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        y = conv(x.contiguous(memory_format=torch.channels_last))
    assert y.dtype == dtype
    torch.testing.assert_close(y.float(), expected, rtol=0.05, atol=0.05)
    y.sum().backward()
    assert all(parameter.grad is not None for parameter in conv.parameters())


class Operations(TorchDispatchMode):
    """Lists the operations that a GPU would run a kernel for."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if not operation.is_view and operation._opname not in ("_unsafe_view", "empty"):
            self.names.append(operation._opname)
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("expand", [{"c1": "full"}, {"c2": "full"}])
def test_the_attention_branch_is_few_operations_and_arranges_nothing(expand):
    conv = AWConv2d(16, 16, 3, expand=expand).to(memory_format=torch.channels_last)
    x = torch.randn(4, 16, 6, 6).contiguous(memory_format=torch.channels_last)
    conv(x)
    with Operations() as seen:
        gate_NOIhw = F2["residual"](conv.block_maps(x))
    norm = ["add_", "native_batch_norm"]  # the first counts batches
    assert seen.names == ["bmm", "mm", *norm, "relu_", "mm", *norm, "sigmoid", "add"]
    # As the kernels read it, pixel after pixel.
    assert gate_NOIhw.flatten(1, 2).permute(0, 2, 3, 1).is_contiguous()


@pytest.mark.parametrize("size", [3, 9], ids=["taps", "grouped"])
def test_keeps_no_weights_of_samples(size):
    conv = AWConv2d(64, 64, 3, padding=1)
    kept = []

    def keep(tensor):
        kept.append(tensor.untyped_storage().nbytes() // tensor.element_size())
        return tensor

    x = torch.randn(8, 64, size, size, requires_grad=True)
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        conv(x)
    assert max(kept) == max(conv.weight.numel(), x.numel())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reduction": 0}, r"reduction \(=0\) must be an integer of at least 1"),
        ({"reduction": 1.5}, r"reduction \(=1.5\) must be an integer of at least 1"),
        ({"min_hidden": 0}, r"min_hidden \(=0\) must be an integer of at least 1"),
        ({"f2": "sum"}, r"f2 \(='sum'\) must be one of residual, product"),
        ({"norm": "group"}, r"norm \(='group'\) must be one of batch, layer"),
        (
            {"expand": {"c1": 3}},
            r"c1 \(=3\) must divide its size \(=4\); allowed: 1, 2, 4 or 'full'",
        ),
        ({"expand": {"c1": 4}, "groups": 2}, r"c1 \(=4\) must divide its size \(=2\)"),
        ({"expand": {"c2": 5}}, r"c2 \(=5\) must divide its size \(=8\); allowed: 1, 2, 4, 8 or"),
        ({"expand": {"h": 2}}, r"h \(=2\) must divide its size \(=3\); allowed: 1, 3 or 'full'"),
        ({"expand": {"w": 0}}, r"w \(=0\) must be a positive integer, a fraction"),
        ({"expand": {"n": "half"}}, r"n \(='half'\) must be a positive integer, a fraction"),
        ({"expand": {"c": 2}}, "unknown dim 'c'; expected some of n, c2, c1, h, w"),
        ({"groups": 3}, "in_channels must be divisible by groups"),
        ({"padding": "some"}, "Invalid padding string"),
        ({"padding_mode": "some"}, "padding_mode must be one of"),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        AWConv2d(4, 8, 3, **settings)


def test_refuses_layer_norms_that_see_next_to_nothing():
    message = r"norm 'layer' would see 2 values of each sample, and needs at least 3: raise min_hid"
    with pytest.raises(ValueError, match=message):
        AWConv2d(4, 32, 1, norm="layer")
    AWConv2d(4, 32, 1, norm="layer", min_hidden=3)
    AWConv2d(4, 8, 3, norm="layer")


def test_refuses_an_image_without_batch():
    with pytest.raises(ValueError, match=r"shape \(4, 5, 5\); expected \(N, C1, H, W\)"):
        AWConv2d(4, 8, 3)(torch.randn(4, 5, 5))


def test_shows_what_it_does():
    text = repr(AWConv2d(4, 8, 3, expand={"c1": 2, "n": "full"}, f2="product", reduction=4))
    assert "4, 8, kernel_size=(3, 3)" in text
    assert "expand={c1: 2, n: full}, f2=product, reduction=4" in text
