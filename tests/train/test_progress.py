import io
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console

from awlab.record.run_directory import RunDirectory
from awlab.train import progress
from awlab.train.callbacks import Recorder
from awlab.train.json_lines import JSONLinesLogger
from awlab.train.progress import Watch


class Seen:
    """A training of 2 epochs of 5 steps that is watched on a console."""

    def __init__(self, folder, *, terminal):
        self.output = io.StringIO()
        console = Console(file=self.output, force_terminal=terminal, width=160)
        directory = RunDirectory(folder)
        self.rows = JSONLinesLogger(directory.metrics, attempt=1)
        recorder = Recorder(images_per_step=8)
        recorder.images, recorder.training_seconds = 100, 2.0
        self.watch = Watch(console, directory, recorder)
        self.module: Any = None
        self.trainer: Any = SimpleNamespace(
            global_step=0,
            current_epoch=0,
            max_epochs=2,
            num_training_batches=5,
            accumulate_grad_batches=1,
        )
        self.watch.on_train_start(self.trainer, self.module)

    def epoch(self, error):
        for batch in range(5):
            self.trainer.global_step += 1
            outputs = {"loss": torch.tensor(1.25)}
            self.watch.on_train_batch_end(self.trainer, self.module, outputs, None, batch)
        metrics = {"train/loss": 1.5, "val/loss": 1.0, "val/top1_error": error}
        place = {"epoch": self.trainer.current_epoch}
        self.rows.log_metrics(metrics | place, step=self.trainer.global_step)
        self.watch.on_train_epoch_end(self.trainer, self.module)
        self.trainer.current_epoch += 1

    @property
    def text(self):
        return self.output.getvalue()


@pytest.fixture
def see(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "REDRAW_SECONDS", 0.0)
    return lambda *, terminal: Seen(tmp_path, terminal=terminal)


def test_elsewhere_than_on_a_terminal_an_epoch_is_a_line(see):
    seen = see(terminal=False)
    seen.epoch(30.0)
    seen.epoch(40.0)
    seen.watch.on_train_end(seen.trainer, seen.module)
    first, second = seen.text.splitlines()
    assert first.startswith("epoch 1/2  loss 1.500  val error 30.00 %  best 30.00 % (epoch 1)")
    assert second.startswith("epoch 2/2  loss 1.500  val error 40.00 %  best 30.00 % (epoch 1)")
    assert second.endswith("50 images/s  0 s left")


def test_a_terminal_shows_the_step(see):
    seen = see(terminal=True)
    seen.epoch(30.0)
    seen.epoch(40.0)
    live, _ = seen.watch._live
    live.refresh()
    last = seen.text.splitlines()[-1]
    assert "epoch 2/2" in last
    assert "step 10  loss 1.250  val error 30.00 %  best 30.00 % (epoch 1)  50 images/s" in last


def test_a_terminal_is_given_back_after_an_error(see):
    seen = see(terminal=True)
    assert "\x1b[?25l" in seen.text
    assert "\x1b[?25h" not in seen.text
    seen.watch.on_exception(seen.trainer, seen.module, KeyError())
    assert "\x1b[?25h" in seen.text  # The cursor is shown again.


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (61, "1 min 01 s"), (3599.6, "1 h 00 min"), (7320, "2 h 02 min")],
)
def test_durations(seconds, text):
    assert progress._duration(seconds) == text
