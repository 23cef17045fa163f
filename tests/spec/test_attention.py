import pytest

from awlab.spec.attention import CBAM, Attention, SqueezeExcitation
from awlab.spec.errors import SpecError
from awlab.spec.load import parse


def test_kinds():
    assert parse(Attention, {"kind": "se"}) == SqueezeExcitation(reduction=16)
    assert parse(Attention, {"kind": "cbam"}) == CBAM(reduction=16, variant="full")
    assert parse(Attention, {"kind": "cbam", "variant": "max_pool"}) == CBAM(variant="max_pool")


@pytest.mark.parametrize("kind", ["se", "cbam", "global_context"])
def test_a_reduction_below_one_is_refused(kind):
    with pytest.raises(SpecError, match=r"^reduction: must be at least 1, not 0$"):
        parse(Attention, {"kind": kind, "reduction": 0})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"kind": "eca", "kernel_size": 4}, r"^kernel_size: kernel_size \(=4\) must be odd$"),
        ({"kind": "eca", "kernel_size": 0}, "kernel_size: must be at least 1, not 0"),
        ({"kind": "gather_excite", "extent": 3}, "extent: must be 0, 2, 4 or 8, not 3"),
        (
            {"kind": "global_context", "fusion": "max"},
            "fusion: must be 'add' or 'scale', not 'max'",
        ),
    ],
)
def test_rivals(data, message):
    assert parse(Attention, {"kind": data["kind"]})
    with pytest.raises(SpecError, match=message):
        parse(Attention, data)


def test_variants():
    message = "variant: must be 'full', 'max_pool' or 'spatial', not 'avg'"
    with pytest.raises(SpecError, match=message):
        parse(Attention, {"kind": "cbam", "variant": "avg"})
