import pytest
import torch
from torch import nn
from torch.nn import functional as F

from awlab.spec.training import SGD, Step, Training
from awlab.train.classification import ClassificationModule

CLASSES = 7


class Mean(nn.Module):
    """Logits from the mean of the image; remembers how images came."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, CLASSES)
        self.conv = nn.Conv2d(3, 3, 2)
        self.channels_last = None

    def forward(self, images):
        self.channels_last = images.is_contiguous(memory_format=torch.channels_last)
        return self.linear(images.mean((2, 3)))


def training(**fields):
    return Training(epochs=2, batch_size=8, optimizer=SGD(lr=0.4, decay="weights"), **fields)


def module(spec=None, **options):
    torch.manual_seed(0)
    return ClassificationModule(
        Mean(), spec or training(), num_classes=CLASSES, train_size=40, **options
    )


def batch():
    torch.manual_seed(1)
    return torch.randn(8, 3, 4, 4), torch.arange(8) % CLASSES


def test_the_loss_is_the_smoothed_cross_entropy():
    classifier = module(training(label_smoothing=0.2))
    images, labels = batch()
    logits = classifier(images)
    expected = -(0.8 * F.one_hot(labels, CLASSES) + 0.2 / CLASSES) * logits.log_softmax(1)
    loss = classifier.training_step(batch(), 0)
    torch.testing.assert_close(loss, expected.sum(1).mean())
    assert classifier.take_metrics("train")["train/loss"] == pytest.approx(loss.item())


def test_the_loss_of_validation_is_not_smoothed():
    classifier = module(training(label_smoothing=0.2))
    images, labels = batch()
    classifier.validation_step((images, labels), 0)
    expected = F.cross_entropy(classifier(images), labels).item()
    assert classifier.take_metrics("val")["val/loss"] == pytest.approx(expected)


def test_taking_metrics_begins_anew():
    classifier = module()
    images, labels = batch()
    classifier.test_step((images, labels), 0)
    first = classifier.take_metrics("test")
    assert first.keys() == {"test/loss", "test/top1_error", "test/top5_error"}
    classifier.test_step((images[:1], labels[:1]), 0)
    assert classifier.take_metrics("test")["test/loss"] != first["test/loss"]


@pytest.mark.parametrize("channels_last", [True, False])
def test_images_and_weights_are_laid_out_as_asked(channels_last):
    classifier = module(channels_last=channels_last)
    classifier(batch()[0])
    assert classifier.network.channels_last is channels_last
    weight = classifier.network.get_parameter("conv.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last) is channels_last


def test_optimizer_and_schedule_are_those_of_the_recipe():
    spec = training(schedule=Step(every_epochs=1, gamma=0.5))
    configured = module(spec).configure_optimizers()
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    assert configured["lr_scheduler"]["interval"] == "step"
    assert [len(group["params"]) for group in optimizer.param_groups] == [2, 2]
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates == [0.4] * 5 + [0.2] * 5


def test_what_was_counted_survives_in_a_checkpoint():
    classifier, resumed = module(), module()
    classifier.training_step(batch(), 0)
    checkpoint = {}
    classifier.on_save_checkpoint(checkpoint)
    resumed.on_load_checkpoint(checkpoint)
    for each in (classifier, resumed):
        each.training_step(batch(), 1)
    assert resumed.take_metrics("train") == classifier.take_metrics("train")
