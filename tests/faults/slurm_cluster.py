"""A real Slurm on this machine: a controller and one node that pretends to have two GPUs."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol")
CONFIGURATION = """\
ClusterName=awlab
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=3
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort={port}
SlurmdPort={other_port}
ReturnToService=2
MpiDefault=none
KillWait=20
JobRequeue=1
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES DefaultTime=30 MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why there can be no cluster here; empty when there can."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"no {', '.join(absent)}: apt-get install slurmctld slurmd slurm-client munge"
    return "" if os.geteuid() == 0 else "only root may start a Slurm daemon"


class SlurmCluster:
    """A cluster that lives in a `with` block.

    Attributes:
        configuration: What SLURM_CONF has to be.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="awlab-slurm-"))
        self.configuration = self.folder / "slurm.conf"

    def __enter__(self) -> "SlurmCluster":
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        host = socket.gethostname().partition(".")[0]
        ports = {"port": free_port(), "other_port": free_port()}
        text = CONFIGURATION.format(folder=self.folder, host=host, **ports)
        self.configuration.write_text(text)
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
        for number in (0, 1):
            os.mknod(self.folder / f"gpu{number}", 0o20666, os.makedev(1, 3))
        gres = f"NodeName={host} Name=gpu File={self.folder}/gpu[0-1]\n"
        (self.folder / "gres.conf").write_text(gres)
        (self.folder / "munge.key").write_bytes(os.urandom(64))
        (self.folder / "munge.key").chmod(0o400)
        places = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log"}
        options = [f"--{name}={self.folder}/munge.{end}" for name, end in places.items()]
        self.call("munged", "--force", f"--seed-file={self.folder}/munge.seed", *options)
        self.call("slurmctld")
        self.call("slurmd", "-N", host)
        deadline = time.monotonic() + 60
        while "idle" not in self.call("sinfo", "--noheader", "--format=%t"):
            assert time.monotonic() < deadline, self.call("sinfo")
            time.sleep(0.2)

    def __exit__(self, *_: object) -> None:
        with suppress(subprocess.CalledProcessError):
            self.call("scancel", "--user=root")
            self.wait_until_empty(30)
        for name in ("slurmd.pid", "slurmctld.pid", "munge.pid"):
            with suppress(FileNotFoundError, ProcessLookupError):
                os.kill(int((self.folder / name).read_text()), 15)
        deadline = time.monotonic() + 10
        while self.folder.exists() and time.monotonic() < deadline:  # They write as they end.
            shutil.rmtree(self.folder, ignore_errors=True)
            time.sleep(0.1)

    def call(self, *command: str) -> str:
        """Run a command of Slurm and return what it prints."""
        # A daemon that kept a pipe open would be waited for.
        with tempfile.TemporaryFile("w+") as output:
            subprocess.run(
                command,
                check=True,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "SLURM_CONF": str(self.configuration)},
            )
            output.seek(0)
            return output.read()

    def queue(self) -> list[str]:
        """A line for each task that is not over: its id and its state."""
        return self.call("squeue", "--noheader", "--array", "--format=%i %T %R").splitlines()

    def requeued(self, job: str) -> list[int]:
        """How often each task of an array was put back into the queue, whether over or not."""
        shown = self.call("scontrol", "show", "job", job)
        return sorted(int(count) for count in re.findall(r"\bRestarts=(\d+)", shown))

    def wait_until_empty(self, seconds: float) -> None:
        """Wait until all tasks are over; those that were requeued need not wait two minutes."""
        deadline = time.monotonic() + seconds
        while queue := self.queue():
            assert time.monotonic() < deadline, queue
            for line in queue:
                if "BeginTime" in line:
                    self.call("scontrol", "update", f"JobId={line.split()[0]}", "StartTime=now")
            time.sleep(0.5)

    def signal(self, job: str) -> None:
        """Tell the scripts of an array that their time is almost up, as Slurm does by itself."""
        # It goes on asking when a task that it has told is gone so soon.
        command = ["scancel", "--state=RUNNING", "--batch", "--signal=USR1", job]
        variables = {**os.environ, "SLURM_CONF": str(self.configuration)}
        asking = subprocess.Popen(command, env=variables)
        with suppress(subprocess.TimeoutExpired):
            asking.wait(timeout=3)
        asking.kill()
        asking.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
