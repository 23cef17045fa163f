from itertools import product

import pytest
from scipy import stats

from awlab.statistics import Comparison, compare, main_effects

CONV = {"plain": 0.0, "aw": -1.0, "aa": 0.5}
GATE = {"none": 0.0, "se": -0.4}
LEVELS = {f"{c}+{g}": {"conv": c, "gate": g} for c, g in product(CONV, GATE)}
LUCK = [0.0, 0.3, -0.1, 0.2]


def study(**changes: dict[int, float]) -> Comparison:
    """Additive effects, an interaction in aw+se, the same luck for all cells of a seed."""
    runs = {
        name: {
            seed: 28 + CONV[level["conv"]] + GATE[level["gate"]] + luck * (1 + (name == "aw+se"))
            for seed, luck in enumerate(LUCK)
        }
        for name, level in LEVELS.items()
    }
    return compare(
        {**runs, **changes}, baseline="plain+none", seeds=range(len(LUCK)), direction="min"
    )


def test_additive_effects_are_found() -> None:
    effects = main_effects(study(), LEVELS)
    assert [(e.factor, e.level, e.reference) for e in effects] == [
        ("conv", "aw", "plain"),
        ("conv", "aa", "plain"),
        ("gate", "se", "none"),
    ]
    aw, aa, se = [e.paired for e in effects]
    assert aw is not None
    assert aa is not None
    assert se is not None
    assert list(aa.by_seed.values()) == pytest.approx([0.5] * 4)
    # the interaction: half of the aw cells, a third of the se cells have the luck of the seed twice
    assert list(aw.by_seed.values()) == pytest.approx([-1 + luck / 2 for luck in LUCK])
    assert list(se.by_seed.values()) == pytest.approx([-0.4 + luck / 3 for luck in LUCK])
    expected = stats.t.interval(0.95, 3, -1 + 0.05, stats.sem([luck / 2 for luck in LUCK]))
    assert aw.sample.interval == pytest.approx(expected)


def test_seeds_are_the_unit_not_runs() -> None:
    (aw, *_) = main_effects(study(), LEVELS)
    assert aw.paired is not None
    assert aw.paired.sample.n == len(LUCK)
    assert aw.paired.sign_flip_p == 0.125


def test_one_factor_gives_the_differences_to_the_baseline() -> None:
    found = study()
    names = ["plain+none", "aw+none", "aa+none"]
    effects = main_effects(found, {name: {"conv": name} for name in names})
    for effect in effects:
        difference = found[effect.level].difference
        assert difference is not None
        assert effect.paired == difference.paired


def test_what_is_missing_is_named_and_only_its_effects_are_lost() -> None:
    found = study(**{"aa+se": {0: 27.0}})
    levels = {name: level for name, level in LEVELS.items() if name != "aw+se"}
    aw, aa, se = main_effects(found, levels)
    assert (aw.paired, aw.missing) == (None, ("conv=aw,gate=se",))
    assert (aa.paired, aa.missing) == (None, ("aa+se",))
    assert (se.paired, se.missing) == (None, ("conv=aw,gate=se", "aa+se"))
    pairs = {name: level for name, level in LEVELS.items() if level["conv"] != "aa"}
    assert all(effect.paired is not None for effect in main_effects(found, pairs))


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ({"aw+se": {"conv": "aw"}}, "the baseline 'plain\\+none' must be a cell of the factorial"),
        (
            {"plain+none": {"f": "1"}, "new": {"f": "2"}},
            "cell 'new' is not one of \\['plain\\+none'",
        ),
        (
            {"plain+none": {"f": "1"}, "aw+se": {"g": "2"}},
            "cell 'aw\\+se' has the factors \\['g'\\], the baseline \\['f'\\]",
        ),
        (
            {"plain+none": {"f": "1"}, "aw+se": {"f": "1"}},
            "cells 'plain\\+none' and 'aw\\+se' have the same levels \\('1',\\)",
        ),
    ],
)
def test_bad_input(levels: dict[str, dict[str, str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        main_effects(study(), levels)
