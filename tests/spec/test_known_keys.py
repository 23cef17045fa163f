import pytest

from awlab.spec.experiment import Experiment
from awlab.spec.known_keys import key_hint

DATA = {
    "model": {"kind": "wide_resnet", "conv": {"kind": "aw"}},
    "data": {"kind": "cifar100"},
    "training": {"optimizer": {"kind": "sgd"}, "schedule": {"kind": "unknown"}},
}


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        (("modeel",), "Did you mean 'model'?"),
        (("model", "widthh"), "Did you mean 'width'?"),
        (("model", "conv", "reductionn"), "Did you mean 'reduction'?"),
        (("training", "optimizer", "momentumm"), "Did you mean 'momentum'?"),
        (("data", "augmentation", "rotate"), "Did you mean 'rotation'?"),
    ],
)
def test_the_nearest_key_of_the_same_class(path, hint):
    data = {**DATA, "data": {"kind": "cifar100", "augmentation": {}}}
    assert key_hint(Experiment, path, data) == hint


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        (("epochs",), "Did you mean 'training.epochs'?"),
        (("lr",), "Did you mean 'training.optimizer.lr'?"),
        (("crop_padding",), "Did you mean 'data.augmentation.crop_padding'?"),
        (("model", "f2"), "Did you mean 'model.conv.f2'?"),
    ],
)
def test_the_same_key_further_down(path, hint):
    assert key_hint(Experiment, path, DATA) == hint


def test_else_all_keys_of_the_class():
    hint = "Known keys: decay, kind, lr, momentum, nesterov, weight_decay."
    assert key_hint(Experiment, ("training", "optimizer", "betas"), DATA) == hint


def test_keys_of_members_that_the_data_does_not_choose_are_not_proposed():
    assert key_hint(Experiment, ("heads",), DATA).startswith("Known keys: data, model, name")
