"""A study on a real Ray cluster of two machines, one of which dies."""

import os
import signal

import pytest

pytest.importorskip("ray", reason="pip install 'awlab[ray]'")

from ray.cluster_utils import Cluster

from tests.faults.conftest import alive
from tests.faults.slurm_cluster import free_port

pytestmark = [
    pytest.mark.fault,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore"),  # Ray leaves files and sockets open.
]


@pytest.fixture
def cluster(monkeypatch):
    """Two machines of one core each; the second one may die."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    client = free_port()
    head = {"num_cpus": 1, "include_dashboard": False, "ray_client_server_port": client}
    made = Cluster(initialize_head=True, connect=False, head_node_args=head)
    made.add_node(num_cpus=1)
    monkeypatch.setenv("RAY_ADDRESS", made.address)
    yield made, f"ray://127.0.0.1:{client}"
    made.shutdown()


def test_a_machine_dies(lab, cluster, undisturbed):
    machines, client = cluster
    manager = lab.start("--backend", "ray")
    held = lab.hold(2)  # One on each machine.
    lab.ledger.injected += 1
    machines.remove_node(machines.worker_nodes.copy().pop(), allow_graceful=False)
    lab.wait(lambda: len(alive([one.pid for one in held])) == 1)
    for pid in alive([one.pid for one in held]):
        os.kill(pid, signal.SIGCONT)
    assert manager.wait(timeout=300) == 0, lab.output
    assert lab.results() == undisturbed
    assert "goes on later" in lab.output

    # From outside of the cluster, and on what is left of it.
    lab.study["seeds"] = [7]
    assert lab.ablate("--backend", "ray", "--address", client, "--cell", "plain") == 0, lab.output
    assert [run.state for run in lab.plan()["plain"].runs] == ["finished"]


def test_the_manager_is_asked_to_end(lab, cluster, undisturbed):
    manager = lab.start("--backend", "ray")
    held = lab.hold()
    lab.kill(manager.pid, signal.SIGTERM)
    lab.let_go(held)
    assert manager.wait(timeout=120) == 75
    assert held[0].run.directory.last_checkpoint.exists()
    assert "the same command goes on from here" in lab.output
    assert lab.ablate() == 0, lab.output  # Here, without the cluster.
    assert lab.results() == undisturbed
