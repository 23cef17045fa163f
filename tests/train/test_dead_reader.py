from types import SimpleNamespace
from typing import Any

import pytest

from awlab.data.loader import SplitLoader
from awlab.train.dead_reader import DeadReader, dead_readers


class Read(SplitLoader[Any]):
    """A loader of which only what its processes read is known."""

    def __init__(self, read: dict[int, list[str]]) -> None:
        self.read = read

    def read_by(self, process: int) -> list[str]:
        return self.read.get(process, [])

    def finish(self, batch: Any, found: Any) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("error", "processes"),
    [
        (RuntimeError("DataLoader worker (pid 12) is killed by signal: Killed. "), [12]),
        (RuntimeError("DataLoader worker (pid(s) 12, 345) exited unexpectedly"), [12, 345]),
        (RuntimeError("a DataLoader worker (pid 12) is killed"), []),
        (ValueError("DataLoader worker (pid 12) is killed by signal: Killed. "), []),
        (RuntimeError("out of luck"), []),
    ],
)
def test_whose_death_is_told(error, processes):
    assert dead_readers(error) == processes


def notes(error, **loaders):
    none = dict.fromkeys(["train_dataloader", "val_dataloaders", "test_dataloaders"])
    trainer: Any = SimpleNamespace(**none | loaders)
    module: Any = None
    DeadReader().on_exception(trainer, module, error)
    return getattr(error, "__notes__", [])


def test_what_they_were_reading_is_added_to_the_error():
    error = RuntimeError("DataLoader worker (pid(s) 12, 34) exited unexpectedly")
    train, val = Read({12: ["a.png", "b.png"], 99: ["z.png"]}), Read({34: ["c.png"]})
    assert notes(error, train_dataloader=train, val_dataloaders=val) == [
        "It was reading, or had just read: a.png, b.png, c.png"
    ]


def test_nothing_is_added_where_nothing_is_known():
    died = RuntimeError("DataLoader worker (pid 12) is killed by signal: Killed. ")
    assert notes(died, train_dataloader=Read({}), val_dataloaders=object()) == []
    assert notes(ValueError("wrong"), train_dataloader=Read({12: ["a.png"]})) == []
