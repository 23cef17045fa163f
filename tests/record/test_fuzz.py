"""Whatever stands in the files of a run: it is read or refused, and nothing else happens.

The number of inputs: pytest tests/record/test_fuzz.py --hypothesis-show-statistics
"""

import json
import math
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from awlab.record.claim import living_holder
from awlab.record.environment import read_attempts
from awlab.record.record import Result, read_epochs, read_metrics, read_result, read_validations
from awlab.record.run_directory import RunDirectory, find_runs
from awlab.spec.errors import InputError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=12,
)
keys = st.sampled_from(
    ["attempt", "epoch", "step", "val/top1_error", "train/loss", "metrics", "last", "best", "id"]
)
documents = values | st.dictionaries(keys, values, max_size=6)
contents = st.binary(max_size=200) | documents.map(lambda value: json.dumps(value).encode())
lines = st.lists(contents, max_size=5).map(b"\n".join)


@settings(max_examples=200, deadline=None, database=None)
@given(lines)
def test_any_metrics_are_read_as_far_as_they_make_sense(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        directory = RunDirectory(folder)
        directory.metrics.write_bytes(content)
        rows = read_metrics(directory)
        steps = [row["step"] for row in rows]
        assert all(isinstance(step, int) for step in steps)
        assert steps == sorted(set(steps))
        epochs = [epoch.epoch for epoch in read_epochs(directory)]
        assert len(epochs) == len(set(epochs))
        for epoch in read_validations(directory):
            assert all(not math.isinf(value) for value in epoch.metrics.values())


@settings(max_examples=200, deadline=None, database=None)
@given(contents)
def test_any_result_is_read_or_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        directory = RunDirectory(folder)
        directory.result.write_bytes(content)
        with suppress(InputError):
            assert isinstance(read_result(directory), Result)


@settings(max_examples=150, deadline=None, database=None)
@given(contents, contents, contents)
def test_any_folder_is_a_run_or_not(experiment: bytes, environment: bytes, claim: bytes) -> None:
    with tempfile.TemporaryDirectory() as root:
        directory = RunDirectory(Path(root, "tiny-0123456789"))
        (directory.path / "claims").mkdir(parents=True)
        (directory.path / "claims" / "000001.json").write_bytes(claim)
        directory.experiment.write_bytes(experiment)
        directory.environment.write_bytes(environment)
        assert find_runs(root) == {}
        assert isinstance(read_attempts(directory), list)
        assert living_holder(directory.path) is None
