"""One process's part in a run: build, train, test, explain, record."""

import logging
import resource
import shutil
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException
from rich.console import Console

from awlab import complexity
from awlab.data.batched import BatchedData
from awlab.data.classification import ClassificationData
from awlab.data.detection import DetectionData
from awlab.data.errors import DataError
from awlab.execute.exit_codes import PREEMPTED
from awlab.record.claim import ClaimedElsewhereError, claim
from awlab.record.environment import record_attempt, version_changes, versions
from awlab.record.record import Result, best_of, read_validations, write_result
from awlab.record.run_directory import RunDirectory
from awlab.spec.errors import InputError
from awlab.spec.experiment import Experiment
from awlab.train.callbacks import Recorder, StepSeed
from awlab.train.checkpoint import load, newest_good, sweep
from awlab.train.dead_reader import DeadReader
from awlab.train.detection_pictures import evenly, write_detections
from awlab.train.devices import Devices, Division, divide
from awlab.train.explain import explain
from awlab.train.failure import classify, tell
from awlab.train.guard import Guard
from awlab.train.json_lines import JSONLinesLogger
from awlab.train.mirror import Mirror, open_mirror
from awlab.train.module import TrainingModule
from awlab.train.parts import build_module, prepare_data
from awlab.train.progress import Watch
from awlab.train.quiet import deterministic, logged
from awlab.train.ranks import Ranks
from awlab.train.signals import StopError, StopSignals
from awlab.train.skipped_steps import SkippedSteps
from awlab.train.spread import spread
from awlab.train.trainer import averaging, build_trainer

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """A run in this process.

    Attributes:
        experiment: What is run.
        directory: Where it leaves its files.
        devices: What it is executed on.
        stop: Tells of requests to stop.
        ranks: The place of this process among others; None when it is alone.
        console: Takes progress; None for none.
    """

    experiment: Experiment
    directory: RunDirectory
    devices: Devices
    stop: StopSignals
    ranks: Ranks | None = None
    console: Console | None = None

    @property
    def leads(self) -> bool:
        """Whether this process writes the files of the run."""
        return self.ranks is None or self.ranks.rank == 0

    def run(self) -> Result | None:
        """Do what is missing of the run; only the leading process has a result.

        Raises:
            InputError: When the experiment cannot be run as it is; nothing is written then.
            StopError: When a signal asked to stop; what it takes to go on is written.
        """
        with ExitStack() as stack:
            stack.enter_context(deterministic())
            data = prepare_data(self.experiment, self._division)
            begins = self._saved() is None
            module = build_module(
                self.experiment, self.devices, train_size=data.train_size, begin=begins
            )
            attempt = self._open(stack)
            try:
                return self._work(data, module, attempt, begins=begins)
            except SystemExit as stopped:
                self._say("stopped on request; the same command goes on from here")
                if isinstance(stopped, SIGTERMException):  # It came before the guard listened.
                    raise StopError(PREEMPTED) from None
                raise
            except (InputError, DataError) as error:
                raise InputError(str(error)) from error
            except Exception as error:
                if self.leads:
                    with suppress(OSError):  # A full disk has no room for its story.
                        self.directory.fail(classify(error), tell(error))
                raise

    def _saved(self) -> Path | None:
        """The checkpoint to go on from, if there is one."""
        files = self.directory
        return newest_good(
            [files.last_checkpoint, files.previous_checkpoint, files.best_checkpoint],
            self.experiment,
        )

    @property
    def _division(self) -> Division:
        return divide(
            self.experiment.training.batch_size,
            devices=self.devices.count,
            max_images=self.experiment.runtime.max_images_per_device,
        )

    def _open(self, stack: ExitStack) -> int:
        """Make the directory ours and return the number of this attempt."""
        if not self.leads:
            stack.enter_context(logged(None))
            return 0
        fresh = not self.directory.path.exists()
        self.directory.create(self.experiment)
        stack.enter_context(claim(self.directory.path))
        if fresh:
            stack.push(self._withdraw)  # While the claim is ours: nobody else begins meanwhile.
        if self.directory.state == "finished":  # Since we looked, before torch was imported.
            raise ClaimedElsewhereError(f"{self.directory.path} was finished by another process")
        stack.enter_context(logged(self.directory.log))
        self.directory.error.unlink(missing_ok=True)
        sweep(self.directory.checkpoints)
        attempt = record_attempt(self.directory, self.devices.names())
        if changes := version_changes(self.directory):
            self._say(
                f"resuming with other versions: {', '.join(changes)}; the result may differ from "
                "that of an undisturbed run"
            )
        return attempt

    def _withdraw(self, kind: type[BaseException] | None, *_: object) -> None:
        """Leave nothing behind of a run that could not begin."""
        refused = kind is not None and issubclass(kind, InputError)
        if refused and not any(self.directory.checkpoints.glob("*.ckpt")):
            shutil.rmtree(self.directory.path, ignore_errors=True)  # It may not even exist.

    def _work(
        self, data: BatchedData, module: TrainingModule, attempt: int, *, begins: bool
    ) -> Result | None:
        training = self.experiment.training
        recorder = Recorder(training.batch_size)
        with open_mirror(self.experiment, self.directory, notify=self._say) as mirror:
            rows = JSONLinesLogger(self.directory.metrics, attempt=attempt)
            trainer = build_trainer(
                training,
                self.directory,
                devices=self.devices,
                ranks=self.ranks,
                division=self._division,
                loggers=[rows] if mirror.logger is None else [rows, mirror.logger],
                callbacks=[
                    StepSeed(self.experiment.seed),
                    *averaging(training, self.devices),
                    SkippedSteps(),
                    recorder,
                    *self._watch(recorder),
                    DeadReader(),
                    Guard(self.experiment, self.directory, self.stop),
                ],
            )
            self._fit(trainer, module, data, begins=begins)
            tested_epoch = self._test(trainer, module, data)
            if not self.leads:
                return None
            self._show(module, data, mirror)
            result = self._result(recorder, trainer, tested_epoch, attempt)
            mirror.summarize(result)
            write_result(self.directory, result)
            return result

    def _fit(
        self, trainer: pl.Trainer, module: TrainingModule, data: BatchedData, *, begins: bool
    ) -> None:
        resume = self._saved()
        if resume is None and not begins:
            # The network was built without the weights that it begins with.
            raise RuntimeError(f"the checkpoints in {self.directory.checkpoints} are gone")
        if resume is not None:
            self._say(f"resuming from {resume}")
        trainer.fit(module, datamodule=data, ckpt_path=resume)

    def _test(self, trainer: pl.Trainer, module: TrainingModule, data: BatchedData) -> int:
        """Test the weights that `training.test_weights` names and return their epoch."""
        best = self.experiment.training.test_weights == "best"
        path = self.directory.best_checkpoint if best else self.directory.last_checkpoint
        checkpoint = load(path, self.experiment)
        module.load_state_dict(checkpoint["state_dict"])
        trainer.test(module, datamodule=data, verbose=False)
        return checkpoint["epoch"]

    def _result(
        self, recorder: Recorder, trainer: pl.Trainer, tested_epoch: int, attempt: int
    ) -> Result:
        validations = read_validations(self.directory)
        profile = complexity.profile(self.experiment)
        return Result(
            id=self.experiment.id,
            name=self.experiment.name,
            metrics=recorder.test_metrics,
            tested_epoch=tested_epoch,
            last=validations[-1],
            best=best_of(validations),
            epochs=self.experiment.training.epochs,
            steps=trainer.global_step,
            parameters=profile.total.parameters,
            gmacs=profile.total.macs / 1e9,
            seconds=recorder.training_seconds + recorder.validation_seconds,
            images_per_second=recorder.images_per_second,
            peak_memory_bytes=_peak_memory_bytes(self.devices),
            attempts=attempt,
            versions=versions(),
        )

    def _show(self, module: TrainingModule, data: BatchedData, mirror: Mirror) -> None:
        """Leave pictures of test images: Grad-CAM of a classifier, boxes of a detector."""
        count = self.experiment.runtime.gradcam_images
        if count and isinstance(data, DetectionData):
            folder, title = self.directory.detections, self.directory.path.absolute().name
            indices = evenly(count, data.test_size)
            found = write_detections(module.network, data, folder, indices, title=title)
            mirror.show_detections(found)
        elif count:
            assert isinstance(data, ClassificationData)
            indices = spread(data.test_labels, count)
            mirror.show(explain(module.network, data, self.directory.gradcam, indices))

    def _watch(self, recorder: Recorder) -> list[Watch]:
        if self.console is None or not self.leads:
            return []
        return [Watch(self.console, self.directory, recorder)]

    def _say(self, message: str) -> None:
        _LOG.info(message)
        if self.console is not None and self.leads:
            self.console.print(message, highlight=False, soft_wrap=True)


def _peak_memory_bytes(devices: Devices) -> int:
    if devices.kind == "gpu":
        return torch.cuda.max_memory_allocated()
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kibibytes * 1024
