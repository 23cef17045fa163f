"""Checkpoints whose write is killed, and that rot."""

import os
import random
import signal
import time

import pytest
import torch

from awlab.spec.experiment import Experiment
from awlab.spec.load import parse
from awlab.train.checkpoint import AtomicCheckpointIO, CorruptCheckpointError, load, newest_good
from tests.faults.conftest import STUDY

pytestmark = pytest.mark.fault
KILLS, FLIPS = 50, 100


@pytest.fixture(scope="module")
def experiment():
    return parse(Experiment, STUDY["base"])


@pytest.fixture(autouse=True)
def one_thread():
    """Threads do not live on in a fork: it would wait for them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def checkpoint(experiment, number):
    values = torch.full((200_000,), float(number))
    return {
        "experiment": experiment.model_dump(mode="json"),
        "number": number,
        "state_dict": {"values": values},
    }


def test_a_write_is_killed_fifty_times(tmp_path, experiment, ledger):
    """Whenever it is killed: what is there is whole, and never older than what was there."""
    place, newest = tmp_path / "last.ckpt", 0
    chance = random.Random(0)
    begin = time.monotonic()
    AtomicCheckpointIO().save_checkpoint(checkpoint(experiment, 0), place)
    seconds = time.monotonic() - begin
    for _ in range(KILLS):
        writer = os.fork()
        if writer == 0:
            try:
                for number in range(newest + 1, newest + 10_000):
                    AtomicCheckpointIO().save_checkpoint(checkpoint(experiment, number), place)
            finally:  # Nothing of pytest may run in here.
                os._exit(1)
        time.sleep(chance.uniform(0.5, 8) * seconds)
        os.kill(writer, signal.SIGKILL)
        _, status = os.waitpid(writer, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL
        ledger.injected += 1
        ledger.lost += 1
        found = load(place, experiment)
        assert found["number"] >= newest
        assert (found["state_dict"]["values"] == found["number"]).all()
        newest = found["number"]
        ledger.lost -= 1
    assert newest > 0


def test_a_hundred_flipped_bits(tmp_path, experiment, ledger):
    places = [tmp_path / "last.ckpt", tmp_path / "previous.ckpt"]
    for number, place in enumerate(places):
        AtomicCheckpointIO().save_checkpoint(checkpoint(experiment, number), place)
    whole, chance = places[0].read_bytes(), random.Random(0)
    for _ in range(FLIPS):
        rotten = bytearray(whole)
        rotten[chance.randrange(len(rotten))] ^= 1 << chance.randrange(8)
        places[0].write_bytes(rotten)
        ledger.injected += 1
        with pytest.raises(CorruptCheckpointError, match="differs from what was written"):
            load(places[0], experiment)
    assert newest_good(places, experiment) == places[1]
