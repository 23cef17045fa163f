import pytest
import torch
from torch.nn import functional as F

from awlab.train.tally import MOST_LOSSES, LossTally, Tally

LOGITS = torch.tensor(
    [
        [9.0, 1, 2, 3, 4, 5, 6],  # right
        [6.0, 9, 2, 3, 4, 5, 1],  # wrong, within five
        [6.0, 9, 5, 4, 3, 2, 1],  # wrong, not within five
        [0.0, 1, 2, 3, 4, 5, 6],  # right
    ]
)
LABELS = torch.tensor([0, 0, 6, 6])


def test_errors_are_percent_and_the_loss_is_the_mean_cross_entropy():
    tally = Tally(num_classes=7)
    tally.update(LOGITS[:3], LABELS[:3])
    tally.update(LOGITS[3:], LABELS[3:])
    metrics = {name: value.item() for name, value in tally.compute().items()}
    assert metrics == {
        "loss": pytest.approx(F.cross_entropy(LOGITS, LABELS).item()),
        "top1_error": 50.0,
        "top5_error": 25.0,
    }


def test_up_to_five_classes_have_no_top5_error():
    tally = Tally(num_classes=5)
    tally.update(LOGITS[:, :5], torch.tensor([0, 1, 1, 0]))
    assert tally.compute().keys() == {"loss", "top1_error"}


def test_the_loss_is_smoothed_like_that_of_training():
    tally = Tally(num_classes=7, label_smoothing=0.1)
    tally.update(LOGITS, LABELS)
    expected = F.cross_entropy(LOGITS, LABELS, label_smoothing=0.1)
    assert tally.compute()["loss"].item() == pytest.approx(expected.item())


def test_a_million_images_are_counted_exactly():
    tally = Tally(num_classes=2)
    logits, labels = torch.zeros(2**18, 2), torch.zeros(2**18, dtype=torch.int64)
    logits[0, 1] = 1.0
    for _ in range(4):
        tally.update(logits, labels)
    wrong_per_image = tally.compute()["top1_error"].item() / 100
    assert wrong_per_image * 2**20 == 4


def test_reset_forgets():
    tally = Tally(num_classes=7)
    tally.update(LOGITS[:1], LABELS[:1])
    tally.reset()
    tally.update(LOGITS[1:2], LABELS[1:2])
    assert tally.compute()["top1_error"].item() == 100.0


def test_totals_are_sums():
    tally = Tally(num_classes=7)
    tally.update(LOGITS, LABELS)
    loss, top1, top5, images = tally.totals().tolist()
    assert loss == pytest.approx(4 * F.cross_entropy(LOGITS, LABELS).item())
    assert (top1, top5, images) == (2, 1, 4)


def losses(classifier, boxes):
    return {"loss_classifier": torch.tensor(classifier), "bbox_regression": torch.tensor(boxes)}


def test_losses_are_means_over_images_and_the_loss_is_their_sum():
    tally = LossTally()
    tally.update(losses(1.0, 2.0), images=1)
    tally.update(losses(2.0, 6.0), images=3)
    metrics = {name: value.item() for name, value in tally.compute().items()}
    assert metrics == {"loss": 6.75, "loss_classifier": 1.75, "loss_bbox_regression": 5.0}


def test_losses_that_were_counted_before_are_told_apart_again():
    tally, resumed = LossTally(), LossTally()
    tally.update(losses(1.0, 2.0), images=1)
    resumed.sums += tally.totals()
    for each in (tally, resumed):
        each.update(losses(2.0, 6.0), images=3)
    assert resumed.compute() == tally.compute()


def test_losses_are_not_without_end():
    many = {str(number): torch.tensor(1.0) for number in range(MOST_LOSSES + 1)}
    with pytest.raises(ValueError, match=r"has 9 losses \(0, 1, .*at most 8 are told apart"):
        LossTally().update(many, images=1)
