import json
import math

import pytest

from awlab.record.record import (
    Epoch,
    Result,
    best_of,
    read_epochs,
    read_metrics,
    read_result,
    read_validations,
    write_result,
)
from awlab.record.run_directory import RunDirectory
from awlab.spec.errors import InputError


def result():
    return Result(
        id="0123456789",
        name="digits",
        metrics={"test/loss": 0.5, "test/top1_error": 12.5},
        tested_epoch=1,
        last=Epoch(1, {"val/top1_error": 20.0}),
        best=Epoch(0, {"val/top1_error": 10.0}),
        epochs=2,
        steps=40,
        parameters=1000,
        gmacs=0.1,
        seconds=3.0,
        images_per_second=100.0,
        peak_memory_bytes=2**20,
        attempts=1,
        versions={"torch": "2.11"},
    )


def directory_with(tmp_path, *lines):
    directory = RunDirectory(tmp_path)
    directory.metrics.write_text("".join(lines))
    return directory


def row(**fields):
    return json.dumps(fields) + "\n"


def test_a_result_reads_back_equal(tmp_path):
    directory = RunDirectory(tmp_path)
    write_result(directory, result())
    assert read_result(directory) == result()


def test_null_is_a_number_that_is_not_finite(tmp_path):
    directory = RunDirectory(tmp_path)
    document = result().to_dict() | {"metrics": {"test/loss": None, "test/top1_error": 12.5}}
    directory.result.write_text(json.dumps(document))
    read = read_result(directory)
    assert math.isnan(read.metrics["test/loss"])
    assert read.metrics["test/top1_error"] == 12.5


@pytest.mark.parametrize(
    ("change", "place"),
    [({"metrics": "none"}, "metrics"), ({"last": {"epoch": "x", "metrics": {}}}, "last.epoch")],
)
def test_a_field_of_another_type_is_named(tmp_path, change, place):
    directory = RunDirectory(tmp_path)
    directory.result.write_text(json.dumps(result().to_dict() | change))
    with pytest.raises(InputError, match=rf"is not the result of a run \({place}: Input should"):
        read_result(directory)


@pytest.mark.fault
@pytest.mark.parametrize("text", ["", "[]", "{}", '{"last": 1, "best": 2}', "\x00"])
def test_a_result_of_another_shape_is_refused(tmp_path, text):
    directory = RunDirectory(tmp_path)
    directory.result.write_text(text)
    with pytest.raises(InputError, match=r"result\.json is not the result of a run .*remove it"):
        read_result(directory)


def test_rows_of_one_step_are_one_row(tmp_path):
    directory = directory_with(
        tmp_path,
        row(attempt=1, epoch=0, step=10, **{"train/loss": 2.0}),
        row(attempt=1, epoch=0, step=10, **{"val/loss": 1.0}),
        row(attempt=1, epoch=1, step=20, **{"train/loss": 1.5}),
    )
    assert read_metrics(directory) == [
        {"attempt": 1, "epoch": 0, "step": 10, "train/loss": 2.0, "val/loss": 1.0},
        {"attempt": 1, "epoch": 1, "step": 20, "train/loss": 1.5},
    ]


@pytest.mark.fault
def test_the_last_attempt_wins(tmp_path):
    directory = directory_with(
        tmp_path,
        row(attempt=1, epoch=0, step=10, loss=2.0),
        row(attempt=1, epoch=0, step=20, loss=1.0),
        row(attempt=2, epoch=0, step=20, loss=1.1),
    )
    assert [(r["attempt"], r["step"], r["loss"]) for r in read_metrics(directory)] == [
        (1, 10, 2.0),
        (2, 20, 1.1),
    ]


def test_epochs_hold_what_was_measured_at_their_end(tmp_path):
    directory = directory_with(
        tmp_path,
        row(attempt=1, epoch=0, step=50, **{"train/loss_step": 3.0, "lr": 0.1}),
        row(attempt=1, epoch=0, step=60, **{"train/loss": 2.0, "lr": 0.1}),
        row(attempt=1, epoch=0, step=60, **{"val/loss": 1.0}),
        row(attempt=1, epoch=1, step=120, **{"train/loss": 1.5}),
        row(attempt=2, epoch=1, step=120, **{"train/loss": 1.4}),
        row(attempt=2, epoch=1, step=120, **{"val/loss": None}),
    )
    first, second = read_epochs(directory)
    assert first == Epoch(0, {"train/loss": 2.0, "val/loss": 1.0})
    assert (second.epoch, second.metrics["train/loss"]) == (1, 1.4)
    assert math.isnan(second.metrics["val/loss"])


@pytest.mark.fault
@pytest.mark.parametrize(
    "tail", ['{"attempt": 1, "step', "\x00\x00", "\n\n", "7\n", "[1]", '{"step": 9}']
)
def test_a_damaged_line_is_left_out(tmp_path, tail):
    directory = directory_with(tmp_path, row(attempt=1, epoch=0, step=2, loss=1.0), tail)
    assert [r["step"] for r in read_metrics(directory)] == [2]


def test_no_file_is_no_rows(tmp_path):
    assert read_metrics(RunDirectory(tmp_path)) == []


def test_the_best_epoch_is_the_first_of_the_lowest(tmp_path):
    directory = directory_with(
        tmp_path,
        *(
            row(attempt=1, epoch=epoch, step=epoch * 10, **{"val/loss": 1.0, "val/top1_error": e})
            for epoch, e in enumerate([30.0, 20.0, 25.0, 20.0])
        ),
    )
    validations = read_validations(directory)
    assert [validation.epoch for validation in validations] == [0, 1, 2, 3]
    assert best_of(validations) == Epoch(1, {"val/loss": 1.0, "val/top1_error": 20.0})


def test_the_best_epoch_of_a_detector_is_the_first_of_the_highest(tmp_path):
    directory = directory_with(
        tmp_path,
        *(
            row(attempt=1, epoch=epoch, step=epoch * 10, **{"val/map": precision})
            for epoch, precision in enumerate([10.0, 30.0, 20.0, 30.0])
        ),
    )
    validations = read_validations(directory)
    assert len(validations) == 4
    assert best_of(validations) == Epoch(1, {"val/map": 30.0})
