"""Under what circumstances a run was made: versions, code, machine."""

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from awlab.record.run_directory import RunDirectory, write_atomically

LIBRARIES = ("awlab", "torch", "torchvision", "lightning", "torchmetrics", "numpy", "wandb")


LONGEST_PATCH = 1_000_000
"""Bytes."""


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that can change a result."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


def collect(devices: Sequence[str]) -> dict[str, Any]:
    """Describe the present process.

    Args:
        devices: Names of the devices that the run is executed on.
    """
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "code": {
            "awlab": git_state(Path(__file__).resolve().parent),
            "working_directory": git_state(Path.cwd()),
        },
        "devices": list(devices),
        "cpu_count": os.cpu_count(),
        "threads": _threads(),
        "platform": platform.platform(),
        "command": sys.argv,
    }


def _threads() -> int:
    """Processor threads that a process computes with: another number is another order of sums."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdecimal() and int(told) > 0:
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def git_state(folder: Path) -> dict[str, str | None] | None:
    """Commit of the repository around a folder and the hash of what differs from it.

    None outside of a repository. `dirty` is null when tracked files are as committed.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    difference = uncommitted(folder)
    return {"commit": commit.decode().strip(), "dirty": _name(difference) if difference else None}


def uncommitted(folder: Path) -> bytes:
    """What the tracked files of the repository around a folder differ in from its commit."""
    return _git(folder, "diff", "--binary", "--no-ext-diff", "--no-color", "HEAD") or b""


def record_attempt(directory: RunDirectory, devices: Sequence[str]) -> int:
    """Add the present process to `environment.json` and return its number, counted from 1.

    What its code differs in from the commit is kept beside it as a patch, unless it is very long.
    """
    attempts = [*read_attempts(directory), collect(devices)]
    write_atomically(directory.environment, json.dumps({"attempts": attempts}, indent=2) + "\n")
    for folder in (Path(__file__).resolve().parent, Path.cwd()):
        patch = uncommitted(folder)
        if 0 < len(patch) <= LONGEST_PATCH:
            write_atomically(directory.patch(_name(patch)), patch)
    return len(attempts)


def read_attempts(directory: RunDirectory) -> list[dict[str, Any]]:
    """The processes that worked on a run, in order."""
    try:
        return json.loads(directory.environment.read_text(encoding="utf-8"))["attempts"]
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return []


def version_changes(directory: RunDirectory) -> list[str]:
    """What differs between the versions of the last two attempts, such as `torch 2.11 -> 2.12`."""
    attempts = read_attempts(directory)
    if len(attempts) < 2:
        return []
    before: dict[str, str] = attempts[-2].get("versions", {})
    now: dict[str, str] = attempts[-1].get("versions", {})
    return [
        f"{name} {before.get(name)} -> {now.get(name)}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


def _name(patch: bytes) -> str:
    return hashlib.sha256(patch).hexdigest()[:16]


def _git(folder: Path, *arguments: str) -> bytes | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
