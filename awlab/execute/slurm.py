"""An array of Slurm tasks, each of which executes a study in its allocation as a terminal would.

What a task does, it finds in the folder of the study; claims keep two of them from doing the same.
So Slurm is told nothing of runs, and may end, preempt or requeue any task at any time.
"""

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined, TemplateError

from awlab.record.run_directory import write_atomically
from awlab.record.study_directory import StudyDirectory
from awlab.spec.errors import InputError

TEMPLATE = Path(__file__).with_name("sbatch.sh")
"""Of the script; a user's own may stand in its place."""
MOST_TASKS = 1000
"""What a Slurm that is not configured otherwise accepts."""


@dataclass(frozen=True)
class Array:
    """What is asked of Slurm.

    Attributes:
        study: Its name.
        command: That each task executes.
        tasks: How many there are.
        options: Of `sbatch`, such as `--time=12:00:00`.
    """

    study: str
    command: Sequence[str]
    tasks: int
    options: Sequence[str] = ()

    def script(self, template: Path | None = None) -> str:
        """Fill in a template.

        Raises:
            InputError: When the template cannot be read, or names what there is not.
        """
        file = template or TEMPLATE
        environment = Environment(
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,
        )
        try:
            return environment.from_string(file.read_text(encoding="utf-8")).render(
                study=self.study,
                command=shlex.join(self.command),
                tasks=self.tasks,
                options=self.options,
            )
        except (OSError, UnicodeDecodeError, TemplateError) as error:
            raise InputError(
                f"--template {file}: {error}; it may name study, command, tasks, options"
            ) from error


def submit(script: str, study: StudyDirectory) -> str:
    """Put an array into the queue; return its number, under which the study keeps the script.

    Raises:
        InputError: When Slurm is not there or refuses it.
    """
    study.slurm.mkdir(parents=True, exist_ok=True)
    job = _call("sbatch", "--parsable", given=script).strip().partition(";")[0]
    write_atomically(study.slurm / f"{job}.sh", script)
    return job


def cancel(study: StudyDirectory) -> list[str]:
    """Take the waiting tasks of a study out of the queue and ask the others to end.

    Returns:
        The arrays that had tasks.
    """
    asked = [job for job in jobs(study) if shutil.which("scancel") and _tasks(job)]
    for job in asked:
        _call("scancel", "--state=PENDING", job)
        try:
            _call("scancel", "--batch", "--signal=TERM", job)
        except InputError:
            if _tasks(job):
                raise  # Else all of them were waiting, or have ended since: nobody is left to ask.
    return asked


def check(script: str) -> None:
    """Raise `InputError` where Slurm would not take an array."""
    _call("sbatch", "--test-only", given=script)


def jobs(study: StudyDirectory) -> list[str]:
    """The arrays that were submitted for a study."""
    return sorted(file.stem for file in study.slurm.glob("*.sh"))


def _tasks(job: str) -> bool:
    """Whether tasks of an array are waiting or being executed."""
    query = ["squeue", "--noheader", f"--jobs={job}"]
    return bool(subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip())


def _call(*command: str, given: str = "") -> str:
    if shutil.which(command[0]) is None:
        raise InputError(f"there is no {command[0]} here: --backend slurm works where Slurm does")
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{command[0]}: {(done.stderr or done.stdout).strip()}")
    return done.stdout
