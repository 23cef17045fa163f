import pytest
from torch import nn

from awlab.models.stage import stage
from awlab.nn.location import LayerError


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
