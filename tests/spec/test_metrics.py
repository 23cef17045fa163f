import pytest

from awlab.spec.metrics import (
    DECIDING,
    MEASURES,
    deciding_metric,
    improves_on,
    is_percent,
    measure_of,
)


def test_metrics_are_known_whatever_the_split():
    assert measure_of("test/map") is measure_of("val/map") is MEASURES["map"]
    assert measure_of("val/loss") is None


@pytest.mark.parametrize("metric", ["test/top1_error", "val/map", "test/map_50", "test/my_error"])
def test_percent(metric):
    assert is_percent(metric)
    assert not is_percent("train/loss")


def test_the_metric_that_decides_is_the_one_that_was_recorded():
    assert deciding_metric({"val/loss": 1.0, "val/top1_error": 30.0}, "val") == "val/top1_error"
    assert deciding_metric({"test/map_50": 60.0, "test/map": 30.0}, "test") == "test/map"
    assert set(DECIDING.values()) <= MEASURES.keys()


def test_less_error_and_more_precision_are_better():
    assert improves_on(20.0, 21.0, "val/top1_error")
    assert not improves_on(21.0, 20.0, "val/top1_error")
    assert improves_on(21.0, 20.0, "val/map")
    assert not improves_on(20.0, 21.0, "val/map")
    assert not improves_on(20.0, 20.0, "val/map")
    assert improves_on(1.0, 2.0, "val/loss")
