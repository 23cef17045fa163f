import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def test_a_mortal_process_dies_with_its_parent() -> None:
    child = (
        "import os, time; from awlab.execute.mortal import die_with_parent;"
        "die_with_parent(os.getppid());"
        "print('mortal', flush=True); time.sleep(60)"
    )
    parent = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); print(child.pid, flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    pid = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists()


def test_a_process_whose_parent_has_died_already_dies_at_once() -> None:
    code = (
        "import os; from awlab.execute.mortal import die_with_parent;"
        "die_with_parent(os.getppid() + 1)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
