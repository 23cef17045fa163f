import pytest

from awlab.spec.attention import CBAM, SqueezeExcitation
from awlab.spec.conv import AWConvolution
from awlab.spec.errors import SpecError
from awlab.spec.load import parse
from awlab.spec.model import (
    AAWideResNet,
    AWInAA,
    MobileNet,
    Model,
    ResNet,
    SelfAttention,
    attention_dims,
)


def test_variants_are_values():
    data = {"kind": "resnet", "conv": {"kind": "aw"}, "attention": {"kind": "se"}}
    assert parse(Model, data) == ResNet(conv=AWConvolution(), attention=SqueezeExcitation())
    data = {"kind": "aa_wide_resnet", "aw": {"position": 2}, "attention": {"kind": "cbam"}}
    assert parse(Model, data) == AAWideResNet(aw=AWInAA(position=2), attention=CBAM())


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_depths_of_resnets(depth):
    assert parse(Model, {"kind": "resnet", "depth": depth}) == ResNet(depth=depth)


def test_other_depths_are_refused():
    with pytest.raises(SpecError, match="depth: must be 18, 34, 50, 101 or 152, not 20"):
        parse(Model, {"kind": "resnet", "depth": 20})


@pytest.mark.parametrize("depth", [18, 34])
def test_basic_blocks_have_no_choice_of_stride(depth):
    assert parse(Model, {"kind": "resnet", "depth": 50, "stride_in": "3x3"})
    message = f"stride_in: '3x3' would be ignored at depth {depth}, whose blocks have no 1x1"
    with pytest.raises(SpecError, match=message):
        parse(Model, {"kind": "resnet", "depth": depth, "stride_in": "3x3"})


def test_mobilenets():
    data = {"kind": "mobilenet", "conv": {"kind": "aw"}, "conv_blocks": "odd"}
    assert parse(Model, data) == MobileNet(conv=AWConvolution(), conv_blocks="odd")
    with pytest.raises(SpecError, match=r"width: must be greater than 0\.0, not 0"):
        parse(Model, {"kind": "mobilenet", "width": 0})
    with pytest.raises(SpecError, match=r"conv_blocks \(='odd'\) would be ignored without a conv"):
        parse(Model, {"kind": "mobilenet", "conv_blocks": "odd"})


@pytest.mark.parametrize("kind", ["wide_resnet", "aa_wide_resnet"])
@pytest.mark.parametrize("depth", [4, 9, 11, 12, 30, -2])
def test_depths_of_wide_resnets(kind, depth):
    assert parse(Model, {"kind": kind, "depth": 16})
    message = rf"depth: depth \(={depth}\) must be 6 n \+ 4 with n >= 1: 10, 16, 22, 28"
    with pytest.raises(SpecError, match=message):
        parse(Model, {"kind": kind, "depth": depth})


@pytest.mark.parametrize(("kind", "last"), [("resnet", 4), ("wide_resnet", 3)])
@pytest.mark.parametrize("stages", [[0], [1, 1], [5], [4, 9]])
def test_stages(kind, last, stages):
    assert parse(Model, {"kind": kind, "conv_stages": [3, 1]}).model_dump()["conv_stages"] == (1, 3)
    message = f"conv_stages: stages must be distinct numbers from 1 to {last}, not"
    with pytest.raises(SpecError, match=message):
        parse(Model, {"kind": kind, "conv_stages": stages})
    with pytest.raises(SpecError, match="conv_stages: must be a list of 1 or more items"):
        parse(Model, {"kind": kind, "conv_stages": []})


@pytest.mark.parametrize("position", [-1, 4, 0.5, "1"])
def test_positions_in_an_aa_block(position):
    with pytest.raises(SpecError, match=r"aw\.position: must be 0, 1, 2 or 3, not"):
        parse(Model, {"kind": "aa_wide_resnet", "aw": {"position": position}})


def test_attention_dims():
    """Bello et al.: dk = max(20 per head, kappa C), dv = upsilon C; Table 2: no minimum."""
    assert attention_dims(SelfAttention(), 160) == (32, 16)
    assert attention_dims(SelfAttention(), 640) == (128, 64)
    assert attention_dims(SelfAttention(min_key_dims_per_head=20), 160) == (160, 16)


def test_heads_divide_the_dims():
    message = r"self_attention: key dims \(=32\) of the stage with 160 channels must be a positive "
    with pytest.raises(SpecError, match=message + r"multiple of heads \(=7\)"):
        parse(Model, {"kind": "aa_wide_resnet", "self_attention": {"heads": 7}})
    message = r"self_attention: value dims \(=8\) of the stage with 160 channels must be a positive"
    with pytest.raises(SpecError, match=message):
        parse(
            Model,
            {"kind": "aa_wide_resnet", "self_attention": {"heads": 16, "value_ratio": 0.05}},
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "width: must be at least 1, not 0"),
        ({"dropout": 1}, "dropout: must be less than 1.0, not 1"),
        ({"self_attention": {"heads": 0}}, "self_attention.heads: must be at least 1, not 0"),
        ({"self_attention": {"key_ratio": 0}}, "key_ratio: must be greater than 0.0, not 0"),
        ({"self_attention": {"value_ratio": 1}}, "value_ratio: must be less than 1.0, not 1"),
        ({"self_attention": {"qkv_kernel_size": 5}}, "qkv_kernel_size: must be 1 or 3, not 5"),
        ({"conv": {"kind": "aw"}}, r"conv: unknown key. Did you mean 'aw.conv'\?|Known keys"),
    ],
)
def test_aa_wide_resnets(change, message):
    with pytest.raises(SpecError, match=message):
        parse(Model, {"kind": "aa_wide_resnet", **change})
