"""The mirror of a run in Weights & Biases: what is shown there is also in the run directory.

Nothing that W&B does ends a run: what it raises is told once, and the training goes on.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import wandb
from lightning.pytorch.loggers import WandbLogger

from awlab.record.record import Epoch, Result
from awlab.record.run_directory import RunDirectory
from awlab.report.attention import SHEET as ATTENTION
from awlab.spec.experiment import Experiment
from awlab.train.detection_pictures import SHEET as DETECTIONS
from awlab.train.detection_pictures import Detection
from awlab.train.explanation import SHEET, Explanation
from awlab.train.open_run import OpenRun
from awlab.train.ranks import Ranks
from awlab.train.wandb_run import STEP, Notify, files_in, project, start

SAID = ("prediction", "truth", "confidence", "drop", "deletion", "insertion")
"""Of an explained image, columns of a table beside its pictures."""


class Mirror:
    """An open W&B run, or none; every method is harmless when W&B is not there.

    Args:
        run: The W&B run; None is none.
        notify: Told in one line of what W&B could not do, once.
    """

    def __init__(self, run: wandb.Run | None, notify: Notify) -> None:
        self._open = OpenRun(run, notify, truth="The run directory")
        self.attempt = self._open.attempt
        self.finish = self._open.finish

    @property
    def logger(self) -> WandbLogger | None:
        """For Lightning's trainer."""
        return None if self._open.run is None else _Logger(self._open)

    @property
    def address(self) -> str | None:
        """Where to see the run: a URL, or for an offline run the command that uploads it."""
        return self._open.address

    def show(self, explanations: Sequence[Explanation]) -> None:
        """Log a table of explained images, and the sheets that lie beside them."""
        folder = explanations[0].image.parent
        # An image goes to the disk whatever the server does; a table asks the server first.
        for name, file in {"gradcam/sheet": SHEET, "attention/sheet": ATTENTION}.items():
            if (path := folder / file).is_file():
                self.attempt(lambda run, n=name, path=path: run.log({n: wandb.Image(str(path))}))
        self.attempt(lambda run: run.log({"gradcam/table": _table(explanations)}))

    def show_detections(self, detections: Sequence[Detection]) -> None:
        """Log a table of images in which objects were looked for, and the sheet beside them."""
        sheet = detections[0].found.with_name(DETECTIONS)
        self.attempt(lambda run: run.log({"detections/sheet": wandb.Image(str(sheet))}))
        self.attempt(lambda run: run.log({"detections/table": _boxes(detections)}))

    def summarize(self, result: Result) -> None:
        """Write the result into the summary of the run."""
        self.attempt(lambda run: run.summary.update(_summary(result)))


@contextmanager
def open_mirror(
    experiment: Experiment, directory: RunDirectory, *, notify: Notify
) -> Iterator[Mirror]:
    """Mirror a run in W&B for the length of a `with` block; only rank 0 has a W&B run.

    `runtime.wandb` decides the mode; where it is `auto`, `WANDB_MODE`; where that is not set
    either, `online` if there is an API key for the server and else `offline`. `WANDB_PROJECT` and
    `WANDB_ENTITY` fill in what `runtime` leaves at its default. Nobody is asked for a key, and a
    server that does not answer makes the run an offline one.

    Args:
        experiment: Becomes the config of the W&B run; its id is that of the W&B run too, so that
            a resumed run goes on where it was.
        directory: Names the W&B run and holds its files.
        notify: Told in one line of what W&B could not do.
    """
    ranks, runtime = Ranks.told(), experiment.runtime
    identity = {
        "id": experiment.id,
        "name": directory.path.name,
        "project": project(runtime),
        "entity": runtime.wandb_entity,
        "group": runtime.wandb_group,
        "job_type": runtime.wandb_job_type,
        "tags": list(runtime.wandb_tags),
        "config": experiment.model_dump(mode="json"),
    }
    with files_in(directory.wandb):
        follows = ranks is not None and ranks.rank > 0
        run = None if follows else start(directory, runtime.wandb, identity, notify, axis=STEP)
        mirror = Mirror(run, notify)
        try:
            yield mirror
        except BaseException:
            mirror.finish(exit_code=1)
            raise
        mirror.finish(exit_code=0)


class _Logger(WandbLogger):
    """Lightning's logger, which leaves the config alone and never raises."""

    def __init__(self, opened: OpenRun) -> None:
        super().__init__(experiment=opened.run)
        self._opened = opened

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._opened.attempt(lambda _: super(_Logger, self).log_metrics(metrics, step))

    def log_hyperparams(self, params: object) -> None:
        del params  # The config of the W&B run is the whole experiment.


def _table(explanations: Sequence[Explanation]) -> wandb.Table:
    return wandb.Table(
        columns=["input", "overlay", *SAID],
        data=[
            [
                wandb.Image(str(explanation.image)),
                wandb.Image(str(explanation.overlay)),
                *(getattr(explanation, name) for name in SAID),
            ]
            for explanation in explanations
        ],
    )


def _boxes(detections: Sequence[Detection]) -> wandb.Table:
    counted = ("objects", "right", "wrong")
    return wandb.Table(
        columns=["truth", "found", *counted],
        data=[
            [
                wandb.Image(str(detection.truth)),
                wandb.Image(str(detection.found)),
                *(getattr(detection, name) for name in counted),
            ]
            for detection in detections
        ],
    )


def _summary(result: Result) -> dict[str, float]:
    return {
        "parameters": result.parameters,
        "gmacs": result.gmacs,
        "seconds": result.seconds,
        "images_per_second": result.images_per_second,
        "peak_memory_bytes": result.peak_memory_bytes,
        "tested_epoch": result.tested_epoch,
        **result.metrics,
        **_validation("best", result.best),
        **_validation("last", result.last),
    }


def _validation(which: str, epoch: Epoch) -> dict[str, float]:
    metrics = {f"{which}/{name}": value for name, value in epoch.metrics.items()}
    return {f"{which}/epoch": epoch.epoch, **metrics}
