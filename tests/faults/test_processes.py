"""Processes that are killed, asked to end, or meet others at work on the same study."""

import contextlib
import os
import pty
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def terminal(lab):
    """Execute the study on a terminal; returns the process and the other end of the terminal."""

    def start():
        lab.write()
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "awlab", "ablate", "study.yaml", "--jobs", "2"]
        process = subprocess.Popen(
            ["setsid", "--ctty", *command],
            cwd=lab.folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "TERM": "xterm"},
        )
        os.close(theirs)
        lab.processes.append(process)
        opened.append(ours)
        os.set_blocking(ours, False)
        return process, ours

    opened = []
    yield start
    for end in opened:
        with contextlib.suppress(OSError):
            os.close(end)


def read(end):
    """What the terminal shows; it has to be read, or its writer waits."""
    shown = b""
    with contextlib.suppress(OSError):
        while chunk := os.read(end, 65536):
            shown += chunk
    return shown.decode(errors="replace")


def watch(end, until):
    """What the terminal shows until something is true."""
    shown = ""
    while not until():
        shown += read(end)
        time.sleep(0.01)
    return shown + read(end)


def finish(lab, undisturbed):
    """The same command ends the study, with the results of an undisturbed one."""
    assert lab.ablate() == 0, lab.output
    assert lab.results() == undisturbed


def test_manager_and_runs_are_killed_again_and_again(lab, undisturbed):
    moment = random.Random(0)
    for epochs in (1, 2, 3):
        manager = lab.start()
        lab.trained(epochs)
        time.sleep(moment.uniform(0, 0.2))
        victims = [manager.pid, *lab.descendants(manager.pid)]
        lab.ledger.injected += 1
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        manager.wait()
        lab.ended(victims)
    finish(lab, undisturbed)


def test_the_manager_alone_is_killed(lab, undisturbed):
    manager = lab.start()
    lab.trained()
    children = lab.descendants(manager.pid)
    lab.kill(manager.pid)
    manager.wait()
    lab.ended(children)
    finish(lab, undisturbed)


def test_a_run_is_killed(lab, undisturbed):
    manager = lab.start()
    (held,) = lab.hold()
    lab.kill(held.pid)
    assert manager.wait() == 0, lab.output
    assert "killed, goes on later" in lab.output
    assert lab.attempts()[held.run.path.name] == 2
    assert lab.results() == undisturbed


def test_the_server_of_warm_children_is_killed(lab, undisturbed):
    manager = lab.start()
    (held,) = lab.hold()
    stat = Path(f"/proc/{held.pid}/stat").read_text()
    lab.kill(int(stat.rpartition(")")[2].split()[1]))
    assert manager.wait() == 0, lab.output
    assert lab.results() == undisturbed


def test_a_run_is_preempted(lab, undisturbed):
    manager = lab.start()
    (held,) = lab.hold()
    lab.kill(held.pid, signal.SIGTERM)
    held.go_on()
    assert manager.wait() == 0, lab.output
    assert "preempted, goes on later" in lab.output
    assert lab.results() == undisturbed


def test_the_manager_is_asked_to_end(lab, undisturbed):
    manager = lab.start()
    held = lab.hold()
    children = lab.descendants(manager.pid)
    lab.kill(manager.pid, signal.SIGTERM)
    lab.let_go(held)
    assert manager.wait() == 75
    lab.ended(children)
    assert held[0].run.directory.last_checkpoint.exists()
    assert "the same command goes on from here" in lab.output
    finish(lab, undisturbed)


def test_cancel_from_another_terminal(lab, undisturbed):
    manager = lab.start()
    held = lab.hold()
    lab.ledger.injected += 1
    command = [sys.executable, "-m", "awlab", "cancel", "study.yaml"]
    cancel = subprocess.Popen(command, cwd=lab.folder, stdout=subprocess.PIPE, text=True)
    lab.let_go(held)
    assert f"process {manager.pid} on " in cancel.communicate()[0]
    assert cancel.returncode == 0
    assert manager.wait() == 130
    finish(lab, undisturbed)


def test_ctrl_c_once(lab, undisturbed, terminal):
    manager, keyboard = terminal()
    (held,) = lab.hold()
    lab.ledger.injected += 1
    os.write(keyboard, b"\x03")
    watch(keyboard, lambda: held.asked)
    held.go_on()
    shown = watch(keyboard, lambda: manager.poll() is not None)
    assert "interrupted: " in shown
    assert "goes on from here" in shown
    assert manager.returncode == 130
    assert held.run.directory.last_checkpoint.exists()
    finish(lab, undisturbed)


def test_ctrl_c_twice(lab, undisturbed, terminal):
    manager, keyboard = terminal()
    (held,) = lab.hold()
    children = lab.descendants(manager.pid)
    lab.ledger.injected += 1
    os.write(keyboard, b"\x03")
    watch(keyboard, lambda: held.asked)  # Two that arrive at once are one.
    begin = time.monotonic()
    os.write(keyboard, b"\x03")
    watch(keyboard, lambda: manager.poll() is not None)
    assert manager.returncode == 130
    assert time.monotonic() - begin < 20
    lab.ended(children)
    finish(lab, undisturbed)


def test_the_terminal_is_closed(lab, undisturbed, terminal):
    manager, keyboard = terminal()
    held = lab.hold()
    children = lab.descendants(manager.pid)
    lab.ledger.injected += 1
    os.close(keyboard)
    lab.let_go(held)
    assert manager.wait() != 0
    lab.ended(children)
    assert held[0].run.directory.last_checkpoint.exists()
    finish(lab, undisturbed)


def test_two_managers_do_nothing_twice(lab, undisturbed):
    lab.ledger.injected += 1
    managers = [lab.start(), lab.start()]
    assert [manager.wait() for manager in managers] == [0, 0], lab.output
    assert set(lab.attempts().values()) == {1}
    assert lab.results() == undisturbed


def test_one_of_two_managers_is_killed(lab, undisturbed):
    first = lab.start()
    lab.hold(2)
    second = lab.start()
    lab.wait(lambda: "is being executed elsewhere" in lab.output)
    lab.kill(first.pid)
    first.wait()
    assert second.wait() == 0, lab.output
    assert lab.results() == undisturbed
