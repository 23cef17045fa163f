"""With torch's own scaler, on the CPU: there it works as on a GPU."""

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from awlab.record.record import read_metrics
from awlab.record.run_directory import RunDirectory
from awlab.train.guard import DivergedError
from awlab.train.json_lines import JSONLinesLogger
from awlab.train.skipped_steps import SkippedSteps


class Steep(pl.LightningModule):
    """Has a loss of finite value whose gradient is a given number."""

    def __init__(self, gradient):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.gradient = gradient
        self.moved = 0

    def training_step(self, batch, batch_idx):
        if self.gradient == float("inf"):
            return self.weight.square().sqrt().sum() + self.weight.abs().sqrt().sum()
        return (self.weight * self.gradient).sum()

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=1e-45)
        optimizer.register_step_post_hook(lambda *_: setattr(self, "moved", self.moved + 1))
        return optimizer


def train(gradient, steps, *, precision="16-mixed", epochs=1, tmp_path):
    module, skipped, rows = Steep(gradient), SkippedSteps(), RunDirectory(tmp_path)
    mixed = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=JSONLinesLogger(rows.metrics, attempt=1),
        callbacks=[skipped],
        default_root_dir=tmp_path,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        plugins=mixed if precision == "16-mixed" else None,
    )
    loader = DataLoader(TensorDataset(torch.zeros(steps, 1)))
    trainer.fit(module, loader)
    return module, skipped, read_metrics(rows)


@pytest.mark.fault
@pytest.mark.filterwarnings("ignore")  # Of few workers, and of steps that are left out.
def test_steps_that_are_left_out_are_counted_and_shown(tmp_path):
    # 1e35 x 2^16 is too large for float32; 1e35 x 2^11 is not.
    module, skipped, rows = train(1e35, 12, epochs=2, tmp_path=tmp_path)
    assert module.moved == 2 * 12 - 5
    assert skipped.skipped == 5
    assert [row["train/skipped_steps"] for row in rows] == [5, 5]
    assert [row["step"] for row in rows] == [12, 24]


@pytest.mark.fault
@pytest.mark.filterwarnings("ignore")
def test_a_training_that_leaves_all_steps_out_ends(tmp_path):
    with pytest.raises(
        DivergedError,
        match=r"even scaled by 0.0625: 20 optimizer steps were left out until step 20\. Try ",
    ):
        train(float("inf"), 40, tmp_path=tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_without_a_scaler_nothing_is_counted(tmp_path):
    module, skipped, rows = train(1e35, 3, precision="32-true", tmp_path=tmp_path)
    assert module.moved == 3
    assert skipped.skipped == 0
    assert rows == []


def test_a_resumed_run_goes_on_counting():
    before, after = SkippedSteps(), SkippedSteps()
    before.skipped = 7
    after.load_state_dict(before.state_dict())
    assert after.skipped == 7
