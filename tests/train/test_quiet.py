import logging
import warnings
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer

from awlab.train.quiet import deterministic, logged


def test_messages_and_warnings_go_to_the_file_and_nowhere_else(tmp_path, capfd):
    log = tmp_path / "log.txt"
    with logged(log):
        logging.getLogger("lightning.pytorch.utilities").info("advice")
        logging.getLogger("awlab.train").warning("news")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("careful", stacklevel=1)
    text = log.read_text()
    assert "INFO lightning.pytorch.utilities: advice" in text
    assert "WARNING awlab.train: news" in text
    assert "careful" in text
    assert capfd.readouterr() == ("", "")


def test_what_tells_nobody_anything_is_dropped(tmp_path, monkeypatch):
    """Messages of the installed Lightning, as on a machine of a Slurm cluster."""
    srun = tmp_path / "srun"
    srun.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    log = tmp_path / "log.txt"
    with logged(log):
        Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    text = log.read_text()
    assert "GPU available" in text
    assert "seamless" not in text
    assert "srun" not in text


def test_a_second_attempt_is_added(tmp_path):
    log = tmp_path / "log.txt"
    for attempt in ("first", "second"):
        with logged(log):
            logging.getLogger("awlab").info(attempt)
    assert [line.split()[-1] for line in log.read_text().splitlines()] == ["first", "second"]


def test_loggers_are_as_before(tmp_path):
    logger = logging.getLogger("lightning.pytorch")
    before = (list(logger.handlers), logger.propagate, logger.level)
    with logged(tmp_path / "log.txt"):
        pass
    assert (list(logger.handlers), logger.propagate, logger.level) == before


def test_without_a_file_there_is_silence(capfd):
    with logged(None):
        logging.getLogger("awlab").error("unheard")
    assert capfd.readouterr() == ("", "")


def test_algorithms_are_deterministic_for_a_while():
    before = torch.are_deterministic_algorithms_enabled()
    with deterministic():
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert not torch.backends.cudnn.benchmark
    assert torch.are_deterministic_algorithms_enabled() == before


def test_what_was_set_is_restored_after_an_error():
    settings: Any = torch.utils.deterministic
    fill = settings.fill_uninitialized_memory
    with pytest.raises(KeyError), deterministic():
        raise KeyError
    assert settings.fill_uninitialized_memory == fill
