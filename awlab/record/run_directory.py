"""The folder of a run: the only place that spells the names of its files."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Literal

from awlab.spec.base import Family
from awlab.spec.errors import InputError, SpecError
from awlab.spec.experiment import Experiment
from awlab.spec.load import dump, load_experiment

State = Literal["missing", "interrupted", "failed", "finished"]

_HEADER = re.compile(r"# awlab run ([0-9a-f]{10}) \(schema ([0-9a-f]{8})\)")


class RunDirectory:
    """The files of one run.

    What state a run is in follows from which files exist, so that killing a process at any moment
    leaves a state that is true.

    Args:
        path: The folder; it need not exist.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.experiment = self.path / "experiment.yaml"
        self.environment = self.path / "environment.json"
        self.metrics = self.path / "metrics.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.last_checkpoint = self.checkpoints / "last.ckpt"
        self.previous_checkpoint = self.checkpoints / "previous.ckpt"
        self.best_checkpoint = self.checkpoints / "best.ckpt"
        self.gradcam = self.path / "gradcam"
        self.exports = self.path / "exports"
        self.detections = self.path / "detections"
        self.wandb = self.path / "wandb"
        self.log = self.path / "log.txt"
        self.error = self.path / "error.txt"
        self.result = self.path / "result.json"

    def __repr__(self) -> str:
        return f"RunDirectory({str(self.path)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunDirectory) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    @classmethod
    def of(cls, experiment: Experiment) -> "RunDirectory":
        """The directory of an experiment: the one that holds its run, else where it would be.

        A run is found by what it means, under whatever name it was made.

        Raises:
            InputError: When a directory carries the id of the experiment but its `experiment.yaml`
                means another.
        """
        root = Path(experiment.runtime.root)
        found = [RunDirectory(path) for path in sorted(root.glob(f"*-{experiment.id}"))]
        found = [directory for directory in found if directory.experiment.exists()]
        for directory in found:
            directory.check(experiment)
        if not found:
            found = [d for d, identity in _identities(root) if identity == experiment.id]
        new = cls(root / f"{experiment.name}-{experiment.id}")
        return min(found, key=lambda d: (not d.result.exists(), d != new), default=new)

    @property
    def state(self) -> State:
        """What the files say; a run that is being executed is `interrupted`."""
        if self.result.exists():
            return "finished"
        if self.error.exists():
            return "failed"
        return "interrupted" if self.experiment.exists() else "missing"

    def create(self, experiment: Experiment) -> None:
        """Make the folder and write `experiment.yaml`, unless they exist.

        Raises:
            InputError: When the folder cannot be written, or holds another experiment.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe = self.path / f".write-{os.getpid()}"
            probe.touch()
            probe.unlink()
            if not self.experiment.exists():
                write_atomically(self.experiment, _header(experiment) + dump(experiment))
        except OSError as error:
            raise InputError(
                f"cannot write the run directory {self.path}: {error.strerror or error}; choose "
                "another folder with runtime.root=FOLDER"
            ) from error
        self.check(experiment)

    def check(self, experiment: Experiment) -> None:
        """Raise `InputError` when `experiment.yaml` means another experiment than this one."""
        try:
            stored = load_experiment(self.experiment).id
        except SpecError as error:
            raise InputError(
                f"{self.experiment} can no longer be read; move the folder away or mend it: {error}"
            ) from error
        if stored != experiment.id:
            raise InputError(
                f"{self.experiment} means experiment {stored}, but this is experiment "
                f"{experiment.id}: the file was edited after the run began. Move the folder away, "
                "or undo the edit"
            )

    def fail(self, kind: str, text: str) -> None:
        """Write `error.txt`: the class of the failure, then the whole story."""
        write_atomically(self.error, f"{kind}\n{text.rstrip()}\n")

    def patch(self, dirty: str) -> Path:
        """File with the uncommitted changes that have this hash."""
        return self.path / f"code-{dirty}.patch"

    @property
    def failure(self) -> str | None:
        """Class of the failure that ended the last attempt."""
        try:
            with self.error.open(encoding="utf-8") as lines:
                return lines.readline().strip()
        except FileNotFoundError:
            return None


def find_runs(root: Path | str) -> dict[str, RunDirectory]:
    """All run directories in a folder, by the id that their experiment has under today's schema.

    Of two with the same id the finished one counts. Folders that hold no valid experiment are left
    out. Takes one line of reading per directory, more only for those of another version.
    """
    found: dict[str, RunDirectory] = {}
    for directory, identity in _identities(Path(root)):
        if identity not in found or directory.result.exists():
            found[identity] = directory
    return found


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that it is there whole or not at all, also after a loss of power.

    Args:
        path: Of the file.
        content: Text is written in UTF-8.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _identities(root: Path) -> Iterator[tuple[RunDirectory, str]]:
    """Run directories in a folder, each with the id of its experiment under today's schema."""
    today = _schema()
    for path in sorted(root.iterdir()) if root.is_dir() else []:
        directory = RunDirectory(path)
        try:
            with directory.experiment.open(encoding="utf-8", errors="replace") as lines:
                header = _HEADER.match(lines.readline())
            if header is not None and header[2] == today:
                yield directory, header[1]
            else:
                yield directory, load_experiment(directory.experiment).id
        except (OSError, SpecError):
            continue


def _header(experiment: Experiment) -> str:
    return f"# awlab run {experiment.id} (schema {_schema()}): a record, do not edit.\n"


def _schema() -> str:
    """Fingerprint of what decides which experiment a file means: fields, defaults, kinds."""
    families = Family.__subclasses__()
    return _schema_of(frozenset(kind for family in families for kind in family.members.values()))


@lru_cache(maxsize=8)
def _schema_of(kinds: frozenset[type[Family]]) -> str:
    """The fingerprint while these kinds are known: making the schema takes a tenth of a second."""
    schema = json.dumps(Experiment.model_json_schema(), sort_keys=True)
    return hashlib.sha256(schema.encode()).hexdigest()[:8]
