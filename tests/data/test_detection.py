import warnings
from types import SimpleNamespace

import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from awlab.data import DataError, DetectionData, SceneAugment, load_coco

AUGMENT = SceneAugment(horizontal_flip=True, zoom_out=True, iou_crop=True)


def data(scenes, **options):
    return DetectionData(scenes, **{"batch_size": 4, "augment": AUGMENT, **options})


class Witness(pl.LightningModule):
    """Notes what it is shown."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.seen = []
        self.validated = []

    def training_step(self, batch):
        images, targets = batch
        self.seen.append((self.global_step, images, targets))
        return self.weight * torch.stack([image.mean() for image in images]).mean()

    def validation_step(self, batch):
        self.validated.extend(one["image_id"] for one in batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class SaveAt(pl.Callback):
    """Writes a checkpoint after an optimizer step."""

    def __init__(self, step, path):
        self.step, self.path = step, path

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == self.step and not self.path.exists():
            trainer.save_checkpoint(self.path)


def fit(tmp_path, datamodule, checkpoint=None, callbacks=()):
    witness = Witness()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*isinstance\(treespec, LeafSpec\)")
        warnings.filterwarnings("ignore", "The `srun` command is available")
        trainer = pl.Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=3,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            default_root_dir=tmp_path,
            callbacks=list(callbacks),
        )
        trainer.fit(witness, datamodule=datamodule, ckpt_path=checkpoint, weights_only=True)
    return witness


def same(one, other):
    (_, images, targets), (_, expected, expected_targets) = one, other
    return all(torch.equal(a, b) for a, b in zip(images, expected, strict=True)) and all(
        torch.equal(a["boxes"], b["boxes"]) and a["image_id"] == b["image_id"]
        for a, b in zip(targets, expected_targets, strict=True)
    )


def test_it_tells_what_a_detector_must_know(digit_scenes):
    subject = data(digit_scenes)
    assert (subject.num_classes, subject.class_names) == (3, ("0", "1", "2"))
    assert (subject.train_size, subject.test_size) == (12, 8)
    assert subject.steps_per_epoch(5) == 2


@pytest.mark.parametrize("step", [1, 3, 4])
def test_a_resumed_run_sees_exactly_the_rest(digit_scenes, tmp_path, step):
    checkpoint = tmp_path / "step.ckpt"
    full = fit(tmp_path, data(digit_scenes), callbacks=[SaveAt(step, checkpoint)])
    assert [at for at, _, _ in full.seen] == list(range(9))
    assert full.validated == [*range(6)] * 3
    resumed = fit(tmp_path, data(digit_scenes), checkpoint)
    assert [at for at, _, _ in resumed.seen] == list(range(step, 9))
    assert all(same(*pair) for pair in zip(resumed.seen, full.seen[step:], strict=True))


def place(rank, world, step):
    """What the data ask a trainer."""
    return SimpleNamespace(
        accumulate_grad_batches=1,
        global_rank=rank,
        world_size=world,
        global_step=step,
        num_devices=world,
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
    )


def test_ranks_see_disjoint_parts_of_what_one_device_sees(digit_scenes):
    def first_batch(rank, world):
        subject = data(digit_scenes, batch_size=4 // world)
        subject.trainer = place(rank, world, step=4)  # type: ignore[assignment]
        images, targets = next(iter(subject.train_dataloader()))
        return {one["image_id"]: image for image, one in zip(images, targets, strict=True)}

    alone = first_batch(0, 1)
    parts = [first_batch(rank, 2) for rank in (0, 1)]
    assert not parts[0].keys() & parts[1].keys()
    together = parts[0] | parts[1]
    assert together.keys() == alone.keys()
    assert all(torch.equal(together[image_id], alone[image_id]) for image_id in alone)


def test_files_are_read_by_processes_and_images_in_memory_are_not(digit_scenes, small_coco):
    files = load_coco(small_coco / "coco", classes=3, validation="val2017")
    ours, theirs = (data(scenes, workers=1) for scenes in (digit_scenes, files))
    for loader in ("train_dataloader", "test_dataloader"):
        pairs = zip(getattr(ours, loader)(), getattr(theirs, loader)(), strict=True)
        assert all(same((0, *one), (0, *other)) for one, other in pairs)


def test_test_images_are_as_in_a_batch(digit_scenes):
    subject = data(digit_scenes)
    images, targets = subject.test_images([5, 0])
    assert torch.equal(images[0], digit_scenes.test.pixels[5] / 255)
    assert [one["image_id"] for one in targets] == [5, 0]


@pytest.mark.parametrize("index", [-1, 8])
def test_a_test_image_that_does_not_exist_is_named(digit_scenes, index):
    message = rf"test image {index} does not exist; they are 0 \.\.\. 7"
    with pytest.raises(DataError, match=message):
        data(digit_scenes).test_images([0, index])
