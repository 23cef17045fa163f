import json
import math

from awlab.train.json_lines import JSONLinesLogger


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_row_has_its_place_and_its_attempt(tmp_path):
    path = tmp_path / "metrics.jsonl"
    logger = JSONLinesLogger(path, attempt=2)
    logger.log_metrics({"val/loss": 0.5, "epoch": 3}, step=40)
    logger.log_metrics({"val/loss": 0.25, "epoch": 4}, step=50)
    assert rows(path) == [
        {"attempt": 2, "epoch": 3, "step": 40, "val/loss": 0.5},
        {"attempt": 2, "epoch": 4, "step": 50, "val/loss": 0.25},
    ]


def test_a_line_that_was_cut_off_does_not_spoil_the_next(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"attempt": 1, "ep')
    JSONLinesLogger(path, attempt=2).log_metrics({"val/loss": 0.5, "epoch": 0}, step=1)
    assert json.loads(path.read_text().splitlines()[1])["val/loss"] == 0.5


def test_what_is_no_number_in_json_is_null(tmp_path):
    path = tmp_path / "metrics.jsonl"
    metrics = {"val/loss": math.nan, "val/top1_error": math.inf, "epoch": 0}
    JSONLinesLogger(path, attempt=1).log_metrics(metrics, step=1)
    assert rows(path)[0] | {"epoch": 0} == {
        "attempt": 1,
        "epoch": 0,
        "step": 1,
        "val/loss": None,
        "val/top1_error": None,
    }
