import pytest

from awlab.spec.conv import AWConvolution, CondConvolution, Conv
from awlab.spec.errors import SpecError
from awlab.spec.load import parse


def test_the_default_is_the_papers():
    conv = parse(Conv, {"kind": "aw"})
    assert conv == AWConvolution(expand={"c1": "full"}, f2="residual", reduction=16, min_hidden=1)


def test_dims_are_put_in_their_order():
    conv = AWConvolution(expand={"w": 3, "n": 2, "c1": "full"})
    assert list(conv.expand) == ["n", "c1", "w"]
    assert parse(Conv, {"kind": "aw", "expand": {}}) == AWConvolution(expand={})


@pytest.mark.parametrize("ratio", [1, 0, -2])
def test_a_ratio_that_shares_nothing_is_refused(ratio):
    message = rf"expand: ratio of h \(={ratio}\) must be at least 2 or 'full'; leave the dim out"
    with pytest.raises(SpecError, match=message):
        parse(Conv, {"kind": "aw", "expand": {"c1": "full", "h": ratio}})


def test_other_dims_and_ratios_are_refused():
    with pytest.raises(SpecError, match=r"expand\.d: must be 'n', 'c2', 'c1', 'h' or 'w', not 'd'"):
        parse(Conv, {"kind": "aw", "expand": {"d": 2}})


def test_a_ratio_may_be_a_fraction_of_the_dim():
    conv = parse(Conv, {"kind": "aw", "expand": {"c1": "1/4"}})
    assert conv == AWConvolution(expand={"c1": "1/4"})


@pytest.mark.parametrize("ratio", ["half", "1/1", "1/0", "2/4", "1/04", " 1/2", "1/2 "])
def test_other_texts_are_no_ratio(ratio):
    message = (
        r"expand\.h: must be an integer or 'full' or a fraction of the dim such as '1/4', not '"
    )
    with pytest.raises(SpecError, match=message):
        parse(Conv, {"kind": "aw", "expand": {"h": ratio}})


def test_condconv_has_experts():
    assert parse(Conv, {"kind": "condconv"}) == CondConvolution(experts=4)
    with pytest.raises(SpecError, match=r"experts: must be at least 2, not 1"):
        parse(Conv, {"kind": "condconv", "experts": 1})
