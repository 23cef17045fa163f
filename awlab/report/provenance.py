"""Where the runs of a study come from: code, versions, machines, time."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import TypeAdapter, ValidationError

from awlab.plan import Plan
from awlab.record.environment import read_attempts
from awlab.record.record import Result
from awlab.record.run_directory import RunDirectory
from awlab.report.collect import outcome

LONGEST = 300
LONGEST_PATCH = 20_000
"""Characters that a page shows."""
MOST_LISTED = 3
HASH = re.compile(r"[0-9a-f]{16}")
CODE = {"awlab": "commit of awlab", "working_directory": "commit of the working directory"}
NO_REPOSITORY = "outside of a repository"
MUST_AGREE = ("commit of awlab", "commit of the working directory", "device")
"""Facts besides versions that can change a result, or the time that it took."""


@dataclass
class GitState:
    """A commit, and the hash of what differs from it."""

    commit: str
    dirty: str | None = None

    def __str__(self) -> str:
        changes = f" with uncommitted changes {self.dirty}" if self.dirty else ""
        return f"{self.commit[:12]}{changes}"


@dataclass
class Attempt:
    """A process that worked on a run, as far as it left word."""

    started: str = ""
    versions: dict[str, str] = field(default_factory=dict[str, str])
    code: dict[str, GitState | None] = field(default_factory=dict[str, GitState | None])
    devices: list[str] = field(default_factory=list[str])
    threads: int | None = None
    platform: str = ""
    command: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Provenance:
    """Of the finished runs of a study.

    Attributes:
        runs: How many.
        attempts: How often they were started.
        seconds: Spent training and validating.
        began: Start of the first attempt, as text.
        ended: Start of the last one.
        versions: Library to version to number of runs.
        facts: Code, devices, platforms, commands: to number of runs.
        patches: Hash of uncommitted changes to their text, where a run kept it; the first ones.
    """

    runs: int
    attempts: int
    seconds: float
    began: str
    ended: str
    versions: Mapping[str, Mapping[str, int]]
    facts: Mapping[str, Mapping[str, int]]
    patches: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def warnings(self) -> Iterator[str]:
        """What differs between runs that are compared with each other."""
        must_agree = {name: self.facts[name] for name in MUST_AGREE if name in self.facts}
        for name, found in {**self.versions, **must_agree}.items():
            if len(found) > 1:
                values = [f"{value} ({_runs(count)})" for value, count in found.items()]
                more = f" and {len(values) - MOST_LISTED} more" if len(values) > MOST_LISTED else ""
                yield f"The runs differ in {name}: {', '.join(values[:MOST_LISTED])}{more}."


_ATTEMPT = TypeAdapter(Attempt)


def provenance(plan: Plan) -> Provenance:
    """Sum up what finished runs say of their last attempts; what cannot be read is left out."""
    results, attempts = [], []
    for run in plan.runs:
        found = outcome(run)
        if isinstance(found, Result):
            results.append(found)
            attempts.append((run.directory, last_attempt(run.directory)))
    versions, facts = _Counts(), _Counts()
    patches: dict[str, str] = {}
    for directory, attempt in attempts:
        _add_patches(patches, directory, attempt)
        versions.add(attempt.versions)
        facts.add(facts_of(attempt))
    started = sorted(attempt.started for _, attempt in attempts if attempt.started)
    return Provenance(
        runs=len(results),
        attempts=sum(result.attempts for result in results),
        seconds=sum(result.seconds for result in results),
        began=started[0] if started else "",
        ended=started[-1] if started else "",
        versions=versions.counts,
        facts=facts.counts,
        patches=patches,
    )


def last_attempt(directory: RunDirectory) -> Attempt:
    """The process that worked last on a run; empty where the record cannot be read."""
    try:
        return _ATTEMPT.validate_python(read_attempts(directory)[-1])
    except (ValidationError, IndexError, TypeError):
        return Attempt()


def facts_of(attempt: Attempt) -> dict[str, str]:
    """Code, device, platform and command, as far as they are known."""
    code = {
        CODE.get(name, name): NO_REPOSITORY if state is None else str(state)
        for name, state in attempt.code.items()
    }
    if attempt.code.get("awlab") == attempt.code.get("working_directory"):
        code.pop(CODE["working_directory"], None)  # One repository holds both.
    devices = Counter(attempt.devices)
    facts = code | {
        "device": ", ".join(f"{n} x {name}" if n > 1 else name for name, n in devices.items()),
        "processor threads": str(attempt.threads or ""),
        "platform": attempt.platform,
        "command": " ".join(word for word in attempt.command if not word.startswith("runtime=")),
    }
    return {name: value for name, value in facts.items() if value}


def _add_patches(patches: dict[str, str], directory: RunDirectory, attempt: Attempt) -> None:
    """Add what the run kept of its uncommitted changes; each is read once, however many have it."""
    for state in attempt.code.values():
        digest = (state and state.dirty) or ""
        if digest in patches or len(patches) >= MOST_LISTED or not HASH.fullmatch(digest):
            continue
        try:
            text = directory.patch(digest).read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError):
            continue
        patches[digest] = _shortened(text)


def _shortened(patch: str) -> str:
    more = len(patch) - LONGEST_PATCH
    return patch if more <= 0 else f"{patch[:LONGEST_PATCH]}\n... {more} more characters"


class _Counts:
    """How many runs have which value of which fact."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}

    def add(self, facts: Mapping[str, str]) -> None:
        for name, value in facts.items():
            self.counts.setdefault(name, Counter())[value[:LONGEST]] += 1


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"
