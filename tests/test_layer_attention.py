from dataclasses import replace

import pytest

from awlab.layer_attention import ABOVE, BELOW, BETWEEN, LayerAttention

LAYER = LayerAttention(
    layer="layer1.0.conv1",
    sizes={"c2": 16, "c1": 8, "h": 3, "w": 3},
    distinct={"c2": 16, "c1": 1, "h": 3, "w": 3},
    f2="residual",
    mean=0.5,
    sd=0.1,
    histogram=[0.25, 0.75],
    variance={
        "image": 0.1,
        "c2": 0.4,
        "c1": 0.0,
        "taps": 0.1,
        "image_c2": 0.3,
        "image_c1": 0.0,
        "image_taps": 0.0,
        "rest": 0.1,
    },
    followed="c2",
    by_class=[[0.5, 0.3], [0.5, 0.5]],
    class_share=0.2,
)


@pytest.mark.parametrize(
    ("distinct", "text"),
    [
        ({}, "8 C1 share one: 144 values for 1,152 weights"),
        ({"c1": 4}, "2 C1 share one: 576 values for 1,152 weights"),
        ({"c1": 8}, "nothing shared: 1,152 values for 1,152 weights"),
        ({"c2": 8, "h": 1}, "2 C2 x 8 C1 x 3 h share one: 24 values for 1,152 weights"),
    ],
)
def test_sharing(distinct: dict[str, int], text: str) -> None:
    assert replace(LAYER, distinct={**LAYER.distinct, **distinct}).sharing == text


def test_classes_have_the_colour_of_their_distance_from_the_mean() -> None:
    assert LAYER.class_spread == pytest.approx(0.1)
    colours = LAYER.class_colours
    assert colours.shape == (2, 2, 3)
    assert [tuple(colour) for colour in colours[:, 0]] == [BETWEEN, BETWEEN]
    assert [tuple(colour) for colour in colours[:, 1]] == [BELOW, ABOVE]


def test_equal_classes_have_no_colour() -> None:
    same = replace(LAYER, by_class=[[0.5], [0.5]])
    assert same.class_spread == 0
    assert {tuple(colour) for colour in same.class_colours[:, 0]} == {BETWEEN}


def test_the_largest_sources() -> None:
    assert LAYER.largest == "C2 40 %, image and C2 30 %"
    nothing = dict.fromkeys(LAYER.variance, 0.0)
    assert replace(LAYER, variance=nothing).largest == "nothing"


def test_plain_types() -> None:
    assert LayerAttention(**LAYER.to_dict()) == LAYER
