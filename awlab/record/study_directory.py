"""The folder of a study: what its runs do not say. Deleting it loses no result."""

from pathlib import Path

from awlab.spec.ablation import Ablation
from awlab.spec.experiment import Experiment


class StudyDirectory:
    """The files of one study.

    Args:
        path: The folder; it need not exist.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.log = self.path / "log.txt"
        self.networks = self.path / "networks.json"
        self.managers = self.path / "managers"
        self.report = self.path / "report"
        self.slurm = self.path / "slurm"
        self.gradcam = self.path / "gradcam"
        self.wandb = self.path / "wandb"
        self.dashboard = self.path / "dashboard.json"

    @classmethod
    def of(cls, ablation: Ablation) -> "StudyDirectory":
        """The directory of a study: `studies/NAME` beside the folder of its runs."""
        assert isinstance(ablation.base, Experiment)
        return cls(Path(ablation.base.runtime.root).parent / "studies" / ablation.name)
