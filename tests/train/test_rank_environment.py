import pytest

from awlab.train.rank_environment import RankEnvironment
from awlab.train.ranks import Ranks


def test_lightning_is_told_what_we_know():
    environment = RankEnvironment(Ranks(5, 1, 8, 4, "first.example", 29500))
    assert environment.creates_processes_externally
    assert (environment.main_address, environment.main_port) == ("first.example", 29500)
    assert (environment.global_rank(), environment.local_rank(), environment.node_rank()) == (
        5,
        1,
        1,
    )
    assert environment.world_size() == 8


def test_lightning_agrees_about_ranks():
    environment = RankEnvironment(Ranks(5, 1, 8, 4, "first.example", 29500))
    environment.set_global_rank(5)
    environment.set_world_size(8)
    with pytest.raises(AssertionError):
        environment.set_global_rank(4)
    with pytest.raises(AssertionError):
        environment.set_world_size(2)


def test_ranks_are_detected_where_they_were_told(monkeypatch):
    assert not RankEnvironment.detect()
    for name in ("RANK", "LOCAL_RANK"):
        monkeypatch.setenv(name, "0")
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "2")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "29500")
    assert RankEnvironment.detect()
