"""Soak a study of many tiny runs in random kills, and compare it with an undisturbed one.

    python benchmarks/soak.py --runs 500 --minutes 10

Every few seconds a run, the server of the runs, or the whole manager is killed with SIGKILL, and
the same command is given again. Prints what was killed, what was lost, and what was left behind.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STUDY = {
    "name": "soak",
    "base": {
        "name": "soak",
        "model": {"kind": "resnet", "depth": 18, "width": 2, "stem": "cifar"},
        "data": {"kind": "digits"},
        "training": {"epochs": 1, "batch_size": 128, "optimizer": {"kind": "sgd", "lr": 0.05}},
        "runtime": {"gradcam_images": 0, "wandb": "disabled", "checkpoint_every_steps": 2},
    },
    "axes": {"conv": {"path": "model.conv", "values": {"plain": None, "aw": {"kind": "aw"}}}},
    "baseline": "plain",
    "resources": {"retries": 1000},
}


def start(folder: Path) -> "subprocess.Popen[bytes]":
    """Execute the study in a folder."""
    command = [sys.executable, "-m", "awlab", "ablate", "study.yaml", "--devices", "cpu"]
    with (folder / "output.txt").open("ab") as output:
        return subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=output, start_new_session=True
        )


def descendants(pid: int) -> list[int]:
    """Living processes that a process has started, and theirs."""
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == pid and state != "Z":
            found += [int(stat.parent.name), *descendants(int(stat.parent.name))]
    return found


def is_server(pid: int) -> bool:
    """Whether a process is the server of the runs, or was forked by it."""
    try:
        return b"multiprocessing.forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def results(folder: Path) -> dict[str, object]:
    """The metrics of every finished run, by its name."""
    files = folder.glob("runs/soak-*/result.json")
    return {file.parent.name: json.loads(file.read_text())["metrics"] for file in files}


def look(pid: int) -> tuple[int, int]:
    """Resident KiB and open files of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return kib, len(list(Path(f"/proc/{pid}/fd").iterdir()))


def left_behind(folder: Path) -> list[str]:
    """Processes that still work in the folder."""
    found: list[str] = []
    for place in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if place.readlink() == folder:
                found.append(place.parent.name)
        except OSError:
            continue
    return found


def shared_memory() -> set[str]:
    """Segments and semaphores."""
    return {path.name for path in Path("/dev/shm").iterdir()}


def tail(folder: Path) -> str:
    """The last lines that a study printed."""
    return "\n".join((folder / "output.txt").read_text(errors="replace").splitlines()[-20:])


def soak(folder: Path, seconds: float, chance: random.Random) -> dict[str, int]:
    """Execute the study, killing something every few seconds for so long."""
    killed = {"run": 0, "server": 0, "manager": 0}
    seen: list[tuple[int, int]] = []
    manager, deadline = start(folder), time.monotonic() + seconds
    disturbed = False
    while manager.poll() is None or manager.returncode != 0:
        if manager.poll() is not None:
            if not disturbed:
                sys.exit(f"{folder}: the study fails by itself\n{tail(folder)}")
            manager, disturbed = start(folder), False
        time.sleep(chance.uniform(1, 5))
        if manager.poll() is not None or time.monotonic() > deadline:
            if time.monotonic() > deadline:
                manager.wait()
            continue
        seen.append(look(manager.pid))
        servers = [pid for pid in descendants(manager.pid) if is_server(pid)]
        what = chance.choices(["run", "server", "manager"], [6, 1, 1])[0]
        # What a server forks has its command line too, and comes after it.
        victims = {"manager": [manager.pid], "server": servers[:1], "run": servers[1:]}[what]
        if victims:
            os.kill(chance.choice(victims), signal.SIGKILL)
            killed[what] += 1
            disturbed = True
    memory = [kib // 1024 for kib, _ in seen]
    files = [count for _, count in seen]
    if seen:
        print(f"manager: {min(memory)} to {max(memory)} MiB, {min(files)} to {max(files)} files")
    return killed


def main() -> None:
    """Soak, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    before = shared_memory()
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name).resolve() / which for which in ("disturbed", "undisturbed")]
        for folder in folders:
            folder.mkdir()
            study = json.dumps(STUDY | {"seeds": options.runs // 2})
            (folder / "study.yaml").write_text(study)
        begin = time.monotonic()
        killed = soak(folders[0], 60 * options.minutes, random.Random(options.seed))
        print(f"killed {killed} in {time.monotonic() - begin:.0f} s")
        begin = time.monotonic()
        start(folders[1]).wait()
        print(f"undisturbed: {time.monotonic() - begin:.0f} s")
        found, expected = map(results, folders)
        wrong = [run for run in expected if found.get(run) != expected[run]]
        time.sleep(2)
        leaked = [pid for folder in folders for pid in left_behind(folder)]
        segments = sorted(shared_memory() - before)
    print(
        f"runs: {len(found)} of {len(expected)}, lost or different: {len(wrong)}, processes left: "
        f"{len(leaked)}, shared memory left: {len(segments)}"
    )
    sys.exit(bool(wrong or leaked or segments or len(expected) < options.runs // 2 * 2))


if __name__ == "__main__":
    main()
