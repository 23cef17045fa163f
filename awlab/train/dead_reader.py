"""The death of a process that reads images, told with what it was reading."""

import re

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from awlab.data.loader import SplitLoader

TOLD_BY_TORCH = re.compile(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\)")
"""Raised wherever the run happens to be when it gets to know, perhaps in the midst of a step."""


def dead_readers(error: BaseException) -> list[int]:
    """Processes that read images and whose death this error tells of."""
    told = TOLD_BY_TORCH.match(str(error)) if isinstance(error, RuntimeError) else None
    return [int(process) for process in told[1].split(",")] if told else []


class DeadReader(Callback):
    """Adds to the error what the process was reading."""

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        loaders = [trainer.train_dataloader, trainer.val_dataloaders, trainer.test_dataloaders]
        images = [
            image
            for process in dead_readers(exception)
            for loader in loaders
            if isinstance(loader, SplitLoader)
            for image in loader.read_by(process)
        ]
        if images:
            exception.add_note(f"It was reading, or had just read: {', '.join(images)}")
