"""Checkpoints that are whole or absent, verified when read, and hold nothing but data."""

import errno
import hashlib
import io
import logging
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from awlab.spec.errors import InputError, SpecError
from awlab.spec.experiment import Experiment
from awlab.spec.load import parse

if TYPE_CHECKING:
    from typing_extensions import Buffer

_LOG = logging.getLogger(__name__)


class CorruptCheckpointError(RuntimeError):
    """A checkpoint is not what was written."""


class DiskFullError(RuntimeError):
    """There was no room for a checkpoint; those written before are as they were."""


class AtomicCheckpointIO(CheckpointIO):
    """Writes a checkpoint beside its place, with a sha256 sum, and then moves it there.

    The sum lies in `NAME.sha256`. It notices what `torch.load` does not: a flipped bit is a
    slightly different network.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Path | str, storage_options: Any = None
    ) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            _write(checkpoint, draft)
            digest = _sum(draft)
            _add_sum(path, digest)
            draft.replace(path)
            _write_sums(path, [digest])
            _sync_folder(path.parent)
        except OSError as error:
            raise _explained(error, draft) from error
        finally:
            draft.unlink(missing_ok=True)

    def load_checkpoint(
        self,
        path: Path | str,
        map_location: Any = None,
        weights_only: bool | None = None,  # noqa: FBT001 Lightning's signature
    ) -> dict[str, Any]:
        """Verify and read a checkpoint; never runs code that it contains.

        Raises:
            CorruptCheckpointError: When it differs from what was written.
        """
        path = Path(path)
        digest, sums = _sum(path), _sums(path)
        if not sums:
            _LOG.warning("%s has no sha256 sum beside it: it is read unverified", path)
        elif digest not in sums:
            raise CorruptCheckpointError(f"{path} differs from what was written (sha256)")
        try:
            return torch.load(path, map_location=map_location or "cpu", weights_only=True)
        except Exception as error:  # Damage shows as any of a dozen.
            raise CorruptCheckpointError(f"{path} cannot be read: {error}") from error

    def remove_checkpoint(self, path: Path | str) -> None:
        Path(path).unlink(missing_ok=True)
        _sum_file(Path(path)).unlink(missing_ok=True)


def keep_as(path: Path, other: Path) -> None:
    """Give a checkpoint a second name, at no cost where the file system allows it.

    Checkpoints are replaced, never written into, so the second name keeps what it names now.
    """
    digest = _sum(path)
    _add_sum(other, digest)
    draft = other.with_name(f".{other.name}.{os.getpid()}.tmp")
    draft.unlink(missing_ok=True)
    try:
        os.link(path, draft)
    except OSError:
        shutil.copyfile(path, draft)
    draft.replace(other)
    _write_sums(other, [digest])


def newest_good(paths: Iterable[Path], experiment: Experiment) -> Path | None:
    """The first of these checkpoints that is there and undamaged.

    Raises:
        InputError: When it belongs to another experiment.
    """
    for path in paths:
        try:
            load(path, experiment)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except CorruptCheckpointError as error:
            _LOG.warning("checkpoint passed over: %s", error)
            continue
        return path
    return None


def load(path: Path, experiment: Experiment) -> dict[str, Any]:
    """Read a checkpoint of an experiment, verified.

    Raises:
        CorruptCheckpointError: When it differs from what was written.
        InputError: When it belongs to another experiment.
    """
    checkpoint = AtomicCheckpointIO().load_checkpoint(path)
    try:
        owner = parse(Experiment, checkpoint["experiment"]).id
    except (KeyError, SpecError) as error:
        raise InputError(f"{path} does not say which experiment it belongs to: {error}") from error
    if owner != experiment.id:
        raise InputError(
            f"{path} belongs to experiment {owner}, not to {experiment.id}; move it away to begin "
            "anew"
        )
    return checkpoint


def sweep(folder: Path) -> None:
    """Remove the drafts that killed processes left in a folder of checkpoints."""
    for draft in folder.glob(".*.tmp"):
        draft.unlink(missing_ok=True)


def _write(checkpoint: dict[str, Any], path: Path) -> None:
    with _File(io.FileIO(path, "w")) as file:
        try:
            torch.save(checkpoint, file)
        except RuntimeError as error:
            raise file.error or error from error
        file.flush()
        os.fsync(file.fileno())


class _File(io.BufferedWriter):
    """Keeps its first error, which `torch.save` hides behind a `RuntimeError` about positions."""

    error: OSError | None = None

    def write(self, content: "Buffer", /) -> int:
        try:
            return super().write(content)
        except OSError as error:
            self.error = self.error or error
            raise


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sum_file(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _sums(path: Path) -> list[str]:
    try:
        return _sum_file(path).read_text().split()
    except FileNotFoundError:
        return []


def _add_sum(path: Path, digest: str) -> None:
    """Accept a checkpoint with this sum as well as the one that is there now.

    A crash between this and the move of the checkpoint leaves either of them good, however often
    it happens: which of the sums is that of the one that is there, nobody knows before the move.
    """
    _write_sums(path, [*_sums(path), digest])


def _write_sums(path: Path, digests: list[str]) -> None:
    file = _sum_file(path)
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    draft.write_text("\n".join(digests) + "\n")
    draft.replace(file)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _explained(error: OSError, draft: Path) -> Exception:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return error
    free = shutil.disk_usage(draft.parent).free
    written = draft.stat().st_size if draft.exists() else 0
    return DiskFullError(
        f"disk full at {draft.parent}: {free} bytes are free after {written} bytes of a "
        "checkpoint; checkpoints written before are intact. Make room and run again to resume"
    )
