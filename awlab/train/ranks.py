"""Which of several processes this one is, as torchrun, srun or we ourselves have told it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Ranks:
    """The place of this process among those that train together.

    Attributes:
        rank: Over all machines.
        local_rank: On this machine.
        size: Processes over all machines.
        local_size: Processes on this machine; the same on every machine.
        address: Of the machine of rank 0.
        port: On which rank 0 listens.
    """

    rank: int
    local_rank: int
    size: int
    local_size: int
    address: str
    port: int

    @property
    def nodes(self) -> int:
        """Machines."""
        return self.size // self.local_size

    @classmethod
    def told(cls, variables: Mapping[str, str] = os.environ) -> "Ranks | None":
        """Read what torchrun or srun say; None when nobody started this process as a rank."""
        if "LOCAL_RANK" in variables and "WORLD_SIZE" in variables:
            return _from_torchrun(variables)
        # A task of a step; a job without steps has SLURM_PROCID too.
        if "SLURM_PROCID" in variables and int(variables.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
            return _from_slurm(variables)
        return None


def _from_torchrun(variables: Mapping[str, str]) -> Ranks:
    return Ranks(
        rank=int(variables["RANK"]),
        local_rank=int(variables["LOCAL_RANK"]),
        size=int(variables["WORLD_SIZE"]),
        local_size=int(variables["LOCAL_WORLD_SIZE"]),
        address=variables["MASTER_ADDR"],
        port=int(variables["MASTER_PORT"]),
    )


def _from_slurm(variables: Mapping[str, str]) -> Ranks:
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment  # Costs seconds.

    size = int(variables["SLURM_STEP_NUM_TASKS"])
    return Ranks(
        rank=int(variables["SLURM_PROCID"]),
        local_rank=int(variables["SLURM_LOCALID"]),
        size=size,
        local_size=size // int(variables.get("SLURM_STEP_NUM_NODES", 1)),
        address=SLURMEnvironment.resolve_root_node_address(variables["SLURM_STEP_NODELIST"]),
        port=20000 + int(variables["SLURM_JOB_ID"]) % 20000,
    )
