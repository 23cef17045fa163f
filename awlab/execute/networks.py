"""Build the networks of a plan in a process that may import torch."""

import time

from awlab.execute.call import LocalCall
from awlab.execute.devices import Share, available_cores
from awlab.execute.stop import StopRequests
from awlab.plan import Plan
from awlab.plan.networks import Network, remember
from awlab.record.study_directory import StudyDirectory

TARGET = "awlab.preflight:build_networks"
POLL_SECONDS = 0.02


def build_networks(plan: Plan, stop: StopRequests) -> dict[str, Network]:
    """Build the network of every cell, and remember what that shows.

    Args:
        plan: With cells that are not merged yet.
        stop: Tells when to end early: without networks.

    Raises:
        InputError: With every cell whose network cannot be built.
    """
    log = StudyDirectory.of(plan.ablation).log
    call = LocalCall(TARGET, (plan,), Share((), available_cores()), log, warm=True)
    try:
        while not call.done():
            if stop.code:
                return {}
            time.sleep(POLL_SECONDS)
        networks: dict[str, Network] = call.result()
    finally:
        call.kill()
    remember(plan, networks)
    return networks
