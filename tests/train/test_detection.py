import pytest
import torch
from torch import nn
from torchmetrics import Metric

from awlab.spec.training import SGD, Training
from awlab.train.detection import DetectionModule


class Detector(nn.Module):
    """Loses what its weight says, and finds one object per image."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 2)
        self.weight = nn.Parameter(torch.tensor(2.0))

    def forward(self, images, targets=None):
        if not self.training:
            return [{"labels": torch.ones(1), "height": image.shape[1]} for image in images]
        assert targets is not None
        boxes = sum(len(target.pop("boxes")) for target in targets)
        return {"loss_classifier": self.weight * 3, "bbox_regression": self.weight * boxes}


class Found(Metric):
    """Counts detections and the objects to be found."""

    def __init__(self):
        super().__init__()
        self.add_state("found", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("there", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, detections, targets):
        self.found += sum(len(one["labels"]) for one in detections)
        self.there += sum(len(one["boxes"]) for one in targets)

    def compute(self):
        return {"map": 100 * self.found / self.there}


def module(**options):
    training = Training(epochs=1, batch_size=2, optimizer=SGD(lr=0.1))
    return DetectionModule(Detector(), training, train_size=8, measure=Found, **options)


def batch():
    targets = [{"boxes": torch.rand(n, 4), "labels": torch.ones(n)} for n in (1, 3)]
    return [torch.rand(3, 8, 6), torch.rand(3, 4, 9)], targets


def test_the_loss_is_the_sum_of_the_networks_losses():
    detector = module()
    loss = detector.training_step(batch(), 0)
    loss.backward()
    assert loss.item() == 2 * 3 + 2 * 4
    assert detector.network.get_parameter("weight").grad == 7
    assert detector.take_metrics("train") == {
        "train/loss": 14.0,
        "train/loss_bbox_regression": 8.0,
        "train/loss_classifier": 6.0,
    }


def test_training_leaves_the_targets_as_they_are():
    images, targets = batch()
    module().training_step((images, targets), 0)
    assert [len(target["boxes"]) for target in targets] == [1, 3]


@pytest.mark.parametrize("split", ["val", "test"])
def test_evaluation_measures_what_is_found(split):
    detector = module().eval()
    step = detector.validation_step if split == "val" else detector.test_step
    step(batch(), 0)
    step(batch(), 1)
    assert detector.take_metrics(split) == {f"{split}/map": 50.0}


def test_images_of_all_sizes_are_seen():
    assert [one["height"] for one in module().eval()(batch()[0])] == [8, 4]


def test_weights_are_laid_out_as_asked():
    weight = module(channels_last=True).network.get_parameter("conv.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last)
