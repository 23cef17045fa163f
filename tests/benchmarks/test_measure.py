import pytest

from benchmarks.measure import DTYPES, in_turn, parser


@pytest.mark.parametrize("rounds", ["1", "0", "-3"])
def test_rounds_without_quartiles_are_refused(rounds, capsys):
    with pytest.raises(SystemExit):
        parser("Time it.", rounds=9).parse_args([f"--rounds={rounds}"])
    assert f"{rounds} rounds have no quartiles: at least 2 are needed" in capsys.readouterr().err


def test_the_fewest_rounds_have_quartiles():
    rounds = parser("Time it.", rounds=9).parse_args(["--rounds=2"]).rounds
    timing = in_turn({"first": lambda: None}, rounds=rounds, seconds=60)["first"]
    assert (timing.rounds, timing.ratio, timing.ratio_quartiles) == (2, 1, (1, 1))


def test_a_dtype_can_be_chosen_only_where_it_is_heeded(capsys):
    with pytest.raises(SystemExit):
        parser("Time it.", rounds=9).parse_args(["--dtype=float16"])
    assert "unrecognized arguments: --dtype=float16" in capsys.readouterr().err
    chosen = parser("Time it.", rounds=9, dtypes=DTYPES).parse_args(["--dtype=float16"])
    assert chosen.dtype == "float16"
