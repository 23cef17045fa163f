"""What a cluster lends; runs on a real one are among the faults."""

from contextlib import nullcontext

import pytest

pytest.importorskip("ray", reason="pip install 'awlab[ray]'")

from awlab.execute import ray as module
from awlab.execute.devices import Share
from awlab.execute.ray import ANY, Cluster, Machines
from awlab.spec.errors import InputError

SMALL = {"CPU": 4.0, "GPU": 1.0}
LARGE = {"CPU": 32.0, "GPU": 8.0}


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, float]]:
    """The machines that there are."""
    there: list[dict[str, float]] = []
    monkeypatch.setattr(module, "_nodes", lambda: there)
    monkeypatch.setattr(module, "_connect", lambda address: None)
    monkeypatch.setattr(module, "LOOK_SECONDS", -1.0)
    return there


@pytest.mark.parametrize(
    ("wanted", "capacity", "share"),
    [
        ({"gpus": True}, 9, Share((ANY,), 4)),
        ({"gpus": True, "devices_per_run": 3}, 2, Share((ANY,) * 3, 4)),  # Not across machines.
        ({"gpus": True, "runs_per_device": 2}, 18, Share((ANY,), 2)),
        ({"gpus": True, "at_once": 5}, 5, Share((ANY,), 4)),
        ({"gpus": False}, 36, Share((), 1)),
        ({"gpus": False, "devices_per_run": 5}, 6, Share((), 1)),
    ],
)
def test_as_many_runs_as_fit_on_the_machines(
    nodes: list[dict[str, float]], wanted: dict[str, int], capacity: int, share: Share
) -> None:
    nodes += [SMALL, LARGE]
    options = {"devices_per_run": 1, "runs_per_device": 1, "at_once": None} | wanted
    machines = Machines(**options)  # type: ignore[arg-type]
    assert machines.capacity == capacity
    assert [machines.lend() for _ in range(capacity + 1)] == [share] * capacity + [None]
    machines.take_back(share)
    assert machines.lend() == share


def test_machines_come_and_go(nodes: list[dict[str, float]]) -> None:
    nodes.append(SMALL)
    machines = Machines(1, runs_per_device=1, gpus=True, at_once=None)
    first = machines.lend()
    assert first
    assert machines.lend() is None
    nodes.append(SMALL)
    assert machines.lend()
    nodes.clear()
    machines.take_back(first)
    assert machines.lend() is None


def test_gpus_are_used_where_there_are_any(nodes: list[dict[str, float]]) -> None:
    nodes.append(LARGE)
    assert Cluster().devices.gpus
    assert not Cluster(gpus=False).devices.gpus
    nodes[:] = [{"CPU": 2.0}]
    assert not Cluster().devices.gpus


def test_a_run_that_fits_nowhere(nodes: list[dict[str, float]]) -> None:
    nodes += [SMALL, LARGE]
    with pytest.raises(InputError, match=r"needs 9 GPUs on one machine; .* have 4 CPUs, 1 GPUs; 3"):
        Cluster(devices_per_run=9)
    nodes.clear()
    with pytest.raises(InputError, match=r"needs 1 CPUs on one machine; .* have nothing"):
        Cluster()


@pytest.mark.parametrize(
    ("answers", "tried", "error"),
    [
        ([module.CLIENT_SERVER_FAILED[0], None], 2, None),
        ([module.CLIENT_SERVER_FAILED[1], None], 2, None),
        ([module.CLIENT_SERVER_FAILED[0]] * 3, 3, "no Ray cluster at ray://far:1: Starting Ray"),
        (["refused"], 1, "no Ray cluster at ray://far:1: refused"),
    ],
)
def test_a_cluster_that_fails_to_fork_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, answers: list[str | None], tried: int, error: str | None
) -> None:
    asked: list[str] = []

    def init(address: str, **_: object) -> None:
        asked.append(address)
        answer = answers[len(asked) - 1]
        if answer is not None:
            raise ConnectionError(answer)

    monkeypatch.setattr(module.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(module.ray, "init", init)
    with nullcontext() if error is None else pytest.raises(InputError, match=error):
        module._connect("ray://far:1")
    assert asked == ["ray://far:1"] * tried
