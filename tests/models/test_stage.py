import pytest
from torch import nn

from awlab.models.stage import is_attention, stage
from awlab.nn.location import LayerError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("layer1.0.conv1.attention.0.weight", True),
        ("fpn.inner_blocks.0.attention", True),
        ("attention.0.weight", True),
        ("layer1.0.conv1.weight", False),
        ("layer1.0.attentions.weight", False),
    ],
)
def test_attention_is_known_by_its_name(name, expected):
    assert is_attention(name) is expected


def test_only_the_first_block_has_the_stride_and_changes_the_channels():
    made = []

    def block(in_channels, out_channels, stride):
        made.append((in_channels, out_channels, stride))
        return nn.Identity()

    assert len(stage(3, block, (4, 8), 2)) == 3
    assert made == [(4, 8, 2), (8, 8, 1), (8, 8, 1)]


def test_names_the_block_that_was_refused():
    def block(in_channels, out_channels, stride):
        if in_channels == out_channels:
            raise ValueError("no")
        return nn.Identity()

    with pytest.raises(LayerError, match=r"^1: no$"):
        stage(3, block, (4, 8), 2)
