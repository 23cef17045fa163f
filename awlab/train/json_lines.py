"""The logger whose file is the truth about a run."""

import json
import math
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only


class JSONLinesLogger(Logger):
    """Appends rows of metrics to a file, each a line of JSON that is on its way to disk at once.

    Args:
        path: The file.
        attempt: Written into each row; tells repeated steps apart.
    """

    def __init__(self, path: Path, *, attempt: int) -> None:
        super().__init__()
        self.path = path
        self.attempt = attempt
        self._begun = False

    @property
    def name(self) -> str:
        return "awlab"

    @property
    def version(self) -> int:
        return self.attempt

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        row = {"attempt": self.attempt, "epoch": metrics["epoch"], "step": step}
        row |= {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        line = json.dumps(row) + "\n"
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line if self._begun else self._fresh_line() + line)
        self._begun = True

    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any
    ) -> None:
        """Nothing: `experiment.yaml` holds them."""

    def _fresh_line(self) -> str:
        """A newline where a killed process left a line unfinished."""
        if not self.path.exists():
            return ""
        return "" if self.path.read_bytes()[-1:] in (b"", b"\n") else "\n"
