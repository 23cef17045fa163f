import pytest

from awlab.nn.location import LayerError, inside


def test_names_a_layer_with_dots():
    with (
        pytest.raises(
            LayerError, match=r"^layer2\.0\.conv2: ratio \(=7\) must divide 4$"
        ) as caught,
        inside("layer2"),
        inside("0"),
        inside("conv2"),
    ):
        raise ValueError("ratio (=7) must divide 4")
    assert caught.value.name == "layer2.0.conv2"
    assert isinstance(caught.value.__cause__, ValueError)
    assert not isinstance(caught.value.__cause__, LayerError)


def test_leaves_other_errors_alone():
    with pytest.raises(KeyError, match=r"^'x'$"), inside("layer1"):
        raise KeyError("x")
