"""What Lightning asks about processes that it did not start."""

from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment

from awlab.train.ranks import Ranks


class RankEnvironment(ClusterEnvironment):
    """Tells Lightning that the processes exist already, and which one this is."""

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()
        self.ranks = ranks

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return self.ranks.address

    @property
    def main_port(self) -> int:
        return self.ranks.port

    @staticmethod
    def detect() -> bool:
        return Ranks.told() is not None

    def world_size(self) -> int:
        return self.ranks.size

    def set_world_size(self, size: int) -> None:
        assert size == self.ranks.size

    def global_rank(self) -> int:
        return self.ranks.rank

    def set_global_rank(self, rank: int) -> None:
        assert rank == self.ranks.rank

    def local_rank(self) -> int:
        return self.ranks.local_rank

    def node_rank(self) -> int:
        return self.ranks.rank // self.ranks.local_size
