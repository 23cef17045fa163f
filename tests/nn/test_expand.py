import pytest
import torch

from awlab.nn.expand import DIMS, Dim, check_ratio, repeat_blocks, shared_sizes

SIZES: dict[Dim, int] = {"n": 4, "c2": 6, "c1": 4, "h": 2, "w": 3}


def test_repeats_in_the_order_of_equation_8():
    maps = torch.randn(2, 6, 2, 2, 3)
    expected = maps.reshape(2, 6, 2, 2, 3).unsqueeze(3).expand(2, 6, 2, 2, 2, 3)
    assert torch.equal(repeat_blocks(maps, {"c1": 4}), expected.reshape(2, 6, 4, 2, 3))


@pytest.mark.parametrize("dim", DIMS)
def test_repeats_blocks_of_neighbours_along_each_dim(dim):
    shape = [3 if name == dim else 2 for name in DIMS]
    maps = torch.randn(shape)
    repeated = repeat_blocks(maps, {dim: 6})
    for index in range(6):
        position = DIMS.index(dim)
        assert torch.equal(repeated.select(position, index), maps.select(position, index // 2))


def test_leaves_a_whole_dim_to_broadcasting():
    maps = torch.randn(2, 6, 1, 2, 3)
    assert repeat_blocks(maps, SIZES).shape == (4, 6, 1, 2, 3)


def test_ratio_one_is_the_identity():
    maps = torch.randn(4, 6, 4, 2, 3)
    assert repeat_blocks(maps, SIZES) is maps


def test_counts_what_differs():
    assert shared_sizes({"n": 2, "c1": "full", "w": 3}, SIZES) == {
        "n": 2,
        "c2": 6,
        "c1": 1,
        "h": 2,
        "w": 1,
    }


def test_a_fraction_shares_as_many_of_any_size():
    assert shared_sizes({"n": "1/2", "c1": "1/4", "w": "1/1"}, SIZES) == {
        "n": 2,
        "c2": 6,
        "c1": 4,
        "h": 2,
        "w": 1,
    }
    for size in (4, 64):
        assert shared_sizes({"c1": "1/4"}, {"c1": size}) == {"c1": 4}
        assert shared_sizes({"c1": size // 4}, {"c1": size}) == {"c1": 4}


@pytest.mark.parametrize("ratio", [1, 2, 3, 6, "full", "1/1", "1/2", "1/3", "1/6"])
def test_accepts_divisors(ratio):
    check_ratio("c2", ratio, 6)


@pytest.mark.parametrize(
    ("dim", "ratio", "message"),
    [
        ("c3", 2, "expand has the unknown dim 'c3'; expected some of n, c2, c1, h, w"),
        ("c2", 4, r"expand ratio of c2 \(=4\) must divide its size \(=6\); allowed: 1, 2, 3, 6 or"),
        ("c2", 0, r"expand ratio of c2 \(=0\) must be a positive integer, a fraction such as"),
        ("h", "all", r"expand ratio of h \(='all'\) must be a positive integer, a fract"),
        ("h", True, r"expand ratio of h \(=True\) must be a positive integer, a fract"),
        (
            "c1",
            "1/4",
            r"c1 \(=1/4\) must divide its size \(=6\); allowed: 1/1, 1/2, 1/3, 1/6 or 'f",
        ),
        (
            "c1",
            "2/3",
            r"c1 \(='2/3'\) must be a positive integer, a fraction such as '1/4', or 'fu",
        ),
        (
            "c1",
            "1/0",
            r"c1 \(='1/0'\) must be a positive integer, a fraction such as '1/4', or 'fu",
        ),
        ("w", 1.5, r"expand ratio of w \(=1.5\) must be a positive integer, a fract"),
    ],
)
def test_refuses_other_ratios(dim, ratio, message):
    with pytest.raises(ValueError, match=message):
        check_ratio(dim, ratio, 6)


def test_a_size_may_be_unknown():
    check_ratio("n", 5)
