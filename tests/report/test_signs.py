import io

import pytest
from rich.console import Console

from awlab.report.signs import SIGNS


@pytest.mark.parametrize("state", SIGNS)
def test_a_terminal_is_shown_what_it_can_show(state: str) -> None:
    def on(encoding: str) -> str:
        return SIGNS[state].on(Console(file=io.TextIOWrapper(io.BytesIO(), encoding=encoding)))

    assert on("utf-8") == SIGNS[state].character
    assert on("ascii") == SIGNS[state].plain


def test_signs_tell_states_apart() -> None:
    assert len({sign.plain for sign in SIGNS.values()}) == len(SIGNS)
    assert all(sign.plain.isascii() and len(sign.plain) == 1 for sign in SIGNS.values())
