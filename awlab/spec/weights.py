"""Weights that a network begins with."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from awlab.spec.base import Spec
from awlab.spec.document import is_mapping

IN_RUN = Path("checkpoints") / "last.ckpt"
"""The file that a run directory is named for."""


class Weights(Spec):
    """The tensors of a file in the place of random ones."""

    file: str = Field(min_length=1)
    """A run directory, for its last weights; a checkpoint; or a state dict, `.pt` or
    `.safetensors`. Relative to the working directory."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Of the content of the file. It is found out when it is left out, and takes the place of the
    name in the identity of a run. A run stores it: its own `experiment.yaml` needs the file no more
    once the run has begun."""
    fresh: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)] = ()
    """Globs over names of tensors, as in `fc.*`, that are not taken from the file: in the network
    they begin at random, in the file they are left."""
    into: str | None = Field(default=None, min_length=1)
    """Dotted name of the part of the network that the file is for, as in `backbone.body`; `null`
    is all of it."""

    @model_validator(mode="before")
    @classmethod
    def _know_the_content(cls, data: Any) -> Any:
        if not is_mapping(data):
            return data
        file, digest = data.get("file"), data.get("sha256")
        if not isinstance(file, str) or not file or digest is not None:
            return data
        try:
            return {**data, "sha256": content(file)}
        except ValueError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            raise ValueError(
                f"{error}; a run that has begun with it goes on from its own experiment.yaml, or "
                "with the sha256 that stands there"
            ) from error

    @property
    def path(self) -> Path:
        """The file itself, also where `file` is a run directory."""
        return file_of(self.file)

    @property
    def meaning(self) -> dict[str, Any]:
        """What counts for the identity of a run: everything but where the file lies."""
        return self.model_dump(mode="json", exclude={"file"})


def file_of(name: str) -> Path:
    """Return the file with the weights: that of a run for its directory."""
    path = Path(name)
    return path / IN_RUN if path.is_dir() else path


def content(name: str) -> str:
    """Return the sha256 sum of the file with the weights.

    Raises:
        ValueError: When it cannot be read.
    """
    try:
        path = file_of(name)
        found = path.stat()
        return _sum(path, found.st_size, found.st_mtime_ns)
    except FileNotFoundError as error:
        raise ValueError(f"there is no {error.filename}") from error
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror or error}") from error


@lru_cache
def _sum(path: Path, size: int, changed: int) -> str:
    del size, changed  # They tell one content of the file from another.
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
