import warnings
from types import SimpleNamespace

import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from awlab.data import (
    Augment,
    ClassificationData,
    DataError,
    ImageArray,
    ImageSet,
    channel_statistics,
    load_digits,
)

AUGMENT = Augment(crop_padding=1, horizontal_flip=True)


def own_image_set() -> ImageSet:
    """What a user writes to bring own images."""
    pixels = torch.randint(0, 256, (60, 3, 6, 6), dtype=torch.uint8)
    images = ImageArray(pixels, torch.arange(60) % 4)
    train, val, test = (images.subset(part) for part in torch.arange(60).split([40, 9, 11]))
    mean, std = channel_statistics(train.pixels)
    return ImageSet(train, val, test, ("ant", "bee", "cow", "dog"), mean, std)


@pytest.fixture
def image_set():
    torch.manual_seed(0)
    return own_image_set()


def data(image_set, **options):
    return ClassificationData(image_set, **{"batch_size": 10, "augment": AUGMENT, **options})


class Witness(pl.LightningModule):
    """Notes what it is shown."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 4)
        self.seen: list[tuple[int, torch.Tensor, torch.Tensor]] = []
        self.validated: list[int] = []

    def training_step(self, batch):
        x, y = batch
        self.seen.append((self.global_step, x, y))
        return nn.functional.cross_entropy(self.layer(x.mean((2, 3))), y)

    def validation_step(self, batch):
        self.validated.extend(batch[1].tolist())

    test_step = validation_step

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(tmp_path, **options):
    defaults = {
        "accelerator": "cpu",
        "devices": 1,
        "max_epochs": 3,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "default_root_dir": tmp_path,
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "isinstance")
        return pl.Trainer(**{**defaults, **options})


def fit(tmp_path, datamodule, checkpoint=None, **options):
    witness = Witness()
    with warnings.catch_warnings():
        # torch's own deprecated function, called by Lightning.
        warnings.filterwarnings("ignore", r".*isinstance\(treespec, LeafSpec\)")
        warnings.filterwarnings("ignore", "The `srun` command is available")
        trainer(tmp_path, **options).fit(
            witness, datamodule=datamodule, ckpt_path=checkpoint, weights_only=True
        )
    return witness


def test_it_tells_what_a_network_must_know(image_set):
    subject = data(image_set)
    assert subject.num_classes == 4
    assert subject.class_names == ("ant", "bee", "cow", "dog")
    assert subject.mean == image_set.mean
    assert subject.std == image_set.std
    assert subject.train_size == 40
    assert subject.test_labels.tolist() == [(49 + index) % 4 for index in range(11)]
    assert subject.steps_per_epoch(12) == 3


def test_a_batch_larger_than_the_training_split_is_refused(image_set):
    message = r"training\.batch_size \(=64\) must be at most the number of training images \(=40\)"
    with pytest.raises(DataError, match=message):
        data(image_set).steps_per_epoch(64)


def test_batches_without_a_trainer(image_set):
    (x, y), *rest = data(image_set).train_dataloader()
    assert len(rest) == 3
    assert (x.shape, x.dtype) == ((10, 3, 6, 6), torch.float32)
    assert (y.shape, y.dtype) == ((10,), torch.int64)
    assert [len(labels) for _, labels in data(image_set).val_dataloader()] == [9]
    assert [len(labels) for _, labels in data(image_set).test_dataloader()] == [6, 5]


def test_images_are_normalised_with_the_statistics_of_the_training_images(image_set):
    every = torch.cat([x for x, _ in data(image_set, augment=Augment()).train_dataloader()])
    torch.testing.assert_close(every.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(every.std((0, 2, 3), correction=0), torch.ones(3))


def test_each_epoch_of_a_fit_has_its_own_order_and_augmentation(image_set, tmp_path):
    witness = fit(tmp_path, data(image_set))
    assert [step for step, _, _ in witness.seen] == list(range(12))
    epochs = [torch.cat([x for _, x, _ in witness.seen[at : at + 4]]) for at in (0, 4, 8)]
    assert not torch.equal(epochs[0], epochs[1])
    assert not torch.equal(epochs[1].sort(0).values, epochs[2].sort(0).values)
    assert sorted(witness.validated) == sorted(image_set.val.labels.tolist() * 3)


class SaveAt(pl.Callback):
    """Writes a checkpoint after an optimizer step, and perhaps stops there."""

    def __init__(self, step, path, *, after_validation=False):
        self.step, self.path, self.after_validation = step, path, after_validation

    def save(self, trainer):
        if trainer.global_step == self.step and not self.path.exists():
            trainer.save_checkpoint(self.path)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if not self.after_validation:
            self.save(trainer)

    def on_validation_end(self, trainer, pl_module):
        if self.after_validation:
            self.save(trainer)


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("step", [1, 3, 4, 6])
def test_a_resumed_run_sees_exactly_the_rest(image_set, tmp_path, step, accumulation):
    """Within an epoch, and at its last step, where samplers with a state skip an epoch."""
    subject = data(image_set, batch_size=10 // accumulation)
    options = {"accumulate_grad_batches": accumulation}
    checkpoint = tmp_path / "step.ckpt"
    full = fit(tmp_path, subject, callbacks=[SaveAt(step, checkpoint)], **options)
    resumed = fit(tmp_path, data(image_set, batch_size=10 // accumulation), checkpoint, **options)
    expected = full.seen[step * accumulation :]
    assert [at for at, _, _ in resumed.seen] == [at for at, _, _ in expected]
    for (_, x, y), (_, expected_x, expected_y) in zip(resumed.seen, expected, strict=True):
        assert torch.equal(x, expected_x)
        assert torch.equal(y, expected_y)


@pytest.mark.parametrize("step", [4, 8])
def test_a_checkpoint_after_validation_resumes_with_the_next_epoch(image_set, tmp_path, step):
    checkpoint = tmp_path / "epoch.ckpt"
    save = SaveAt(step, checkpoint, after_validation=True)
    full = fit(tmp_path, data(image_set), callbacks=[save])
    resumed = fit(tmp_path, data(image_set), checkpoint)
    assert len(resumed.seen) == 12 - step
    for (at, x, _), (expected_at, expected, _) in zip(resumed.seen, full.seen[step:], strict=True):
        assert at == expected_at
        assert torch.equal(x, expected)


def place(rank, world, accumulation=1, step=0):
    """What the data asks a trainer."""
    return SimpleNamespace(
        accumulate_grad_batches=accumulation,
        global_rank=rank,
        world_size=world,
        global_step=step,
        num_devices=world,
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
    )


def batches_at(image_set, loader, place, **options):
    subject = data(image_set, **options)
    subject.trainer = place
    return list(getattr(subject, loader)())


@pytest.mark.parametrize(("world", "accumulation"), [(2, 1), (1, 2), (2, 2), (4, 1)])
def test_an_optimizer_step_sees_the_same_images_however_it_is_divided(
    image_set, world, accumulation
):
    def rows(pairs):
        return sorted(
            (*x.flatten().tolist(), label)
            for xs, y in pairs
            for x, label in zip(xs, y.tolist(), strict=True)
        )

    size = 20 // (world * accumulation)
    alone = batches_at(image_set, "train_dataloader", place(0, 1, step=1), batch_size=20)
    ranks = [
        batches_at(
            image_set, "train_dataloader", place(rank, world, accumulation, 1), batch_size=size
        )
        for rank in range(world)
    ]
    assert [len(pairs) for pairs in ranks] == [accumulation] * world
    assert rows(pair for pairs in ranks for pair in pairs) == rows(alone)


@pytest.mark.parametrize("loader", ["val_dataloader", "test_dataloader"])
def test_ranks_share_the_evaluation(image_set, loader):
    expected = batches_at(image_set, loader, place(0, 1), batch_size=4)
    ranks = [batches_at(image_set, loader, place(rank, 2), batch_size=4) for rank in (0, 1)]
    assert len(ranks[0]) == len(ranks[1])
    labels = [label for pairs in ranks for _, y in pairs for label in y.tolist()]
    assert sorted(labels) == sorted(label for _, y in expected for label in y.tolist())


def test_test_images_are_shown_as_the_network_sees_them(image_set):
    shown, inputs, labels = data(image_set).test_images([4, 0, 4])
    pixels = image_set.test.read([4, 0, 4])
    assert shown.dtype == torch.uint8
    assert torch.equal(shown, pixels.permute(0, 2, 3, 1))
    assert torch.equal(inputs, data(image_set).normalize(pixels))
    assert labels.tolist() == image_set.test.labels[[4, 0, 4]].tolist()


def test_grey_test_images_are_shown_in_three_channels():
    subject = ClassificationData(load_digits(validation_fraction=0.2), batch_size=8)
    shown, inputs, _ = subject.test_images([0, 1])
    assert shown.shape == (2, 8, 8, 3)
    assert inputs.shape == (2, 1, 8, 8)
    assert torch.equal(shown[..., 0], shown[..., 2])


@pytest.mark.parametrize("index", [-1, 11])
def test_a_test_image_that_does_not_exist_is_named(image_set, index):
    message = rf"test image {index} does not exist; they are 0 \.\.\. 10"
    with pytest.raises(DataError, match=message):
        data(image_set).test_images([0, index])
