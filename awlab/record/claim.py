"""Who is executing a run: a claim that one process holds and that outlives no process.

Claims are numbered files, `claims/000001.json` and so on; the highest number is the current one. To
claim is to create the next number, which the file system lets one process do, so a stale claim is
taken over by exactly one contender, on one machine or on several that share the folder.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

HEARTBEAT_SECONDS = 10.0
STALE_SECONDS = 60.0
"""Age of the last heartbeat from which a holder on another machine counts as dead."""


class ClaimedElsewhereError(RuntimeError):
    """Another living process executes the run."""


@dataclass(frozen=True)
class Holder:
    """The process that holds a claim.

    Attributes:
        host: Name of its machine.
        pid: Its process number there.
        started: Its start time in clock ticks since boot, which tells it from a later process with
            the same number; 0 where the system does not say.
    """

    host: str
    pid: int
    started: int

    @classmethod
    def here(cls) -> "Holder":
        """The calling process."""
        return cls(socket.gethostname(), os.getpid(), _start_ticks(os.getpid()) or 0)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def living_holder(folder: Path) -> Holder | None:
    """The living process that holds the claim of a folder, if there is one."""
    number = _current(folder)
    if number == 0:
        return None
    path = _path(folder, number)
    try:
        holder = Holder(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None  # Released: its holder emptied it.
    return holder if _is_alive(holder, path) else None


@contextmanager
def claim(folder: Path) -> Generator[None]:
    """Hold the claim of a folder.

    Raises:
        ClaimedElsewhereError: When a living process holds it.
    """
    path = _take(folder)
    ended = threading.Event()
    beat = threading.Thread(target=_beat, args=(path, ended), daemon=True, name="awlab-claim")
    beat.start()
    try:
        yield
    finally:
        ended.set()
        beat.join()
        with suppress(OSError):  # The folder may be gone, the disk full.
            path.write_text("")  # An empty claim is a released one.


def _take(folder: Path) -> Path:
    (folder / "claims").mkdir(parents=True, exist_ok=True)
    number = _current(folder)
    holder = living_holder(folder)
    if holder is not None:
        raise ClaimedElsewhereError(f"{folder} is being executed by {holder}")
    path = _path(folder, number + 1)
    draft = path.with_name(f".{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}")
    draft.write_text(json.dumps(asdict(Holder.here())))
    try:
        os.link(draft, path)  # Appears whole, and only when nobody was faster.
    except FileExistsError:
        raise ClaimedElsewhereError(f"{folder} was claimed by another process just now") from None
    finally:
        draft.unlink()
    for old in range(1, number + 1):
        _path(folder, old).unlink(missing_ok=True)
    return path


def _beat(path: Path, ended: threading.Event) -> None:
    while not ended.wait(HEARTBEAT_SECONDS):
        try:
            os.utime(path)
        except OSError:
            return  # The folder was removed: nobody can be misled any more.


def _current(folder: Path) -> int:
    numbers = [int(path.stem) for path in (folder / "claims").glob("*.json") if path.stem.isdigit()]
    return max(numbers, default=0)


def _path(folder: Path, number: int) -> Path:
    return folder / "claims" / f"{number:06d}.json"


def _is_alive(holder: Holder, path: Path) -> bool:
    if holder.host == socket.gethostname():
        return _start_ticks(holder.pid) == holder.started
    return _silence(path) < STALE_SECONDS


def _silence(path: Path) -> float:
    """Seconds since the last heartbeat, by the clock of the disk: ours may be wrong or jump."""
    try:
        return _now(path.parent) - path.stat().st_mtime
    except OSError:
        return float("inf")


def _now(folder: Path) -> float:
    probe = folder / f".now-{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}"
    try:
        probe.touch()
        now = probe.stat().st_mtime
        probe.unlink()
    except OSError:
        return time.time()  # We may not write there.
    return now


def _start_ticks(pid: int) -> int | None:
    """Start time of a living process; 0 where the system does not say, None when it is dead."""
    if not Path("/proc/self/stat").exists():
        return 0 if _answers(pid) else None
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else int(fields[18])


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
