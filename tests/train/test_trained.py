import pytest
import torch

from awlab import build
from awlab.record.run_directory import RunDirectory
from awlab.spec import SGD, Digits, Experiment, ResNet, Runtime, Training
from awlab.spec.errors import InputError
from awlab.train.checkpoint import AtomicCheckpointIO
from awlab.train.trained import TrainedRun


def experiment(tmp_path, **changes):
    return Experiment(
        **{
            "name": "tiny",
            "model": ResNet(depth=18, width=2, stem="cifar"),
            "data": Digits(),
            "training": Training(epochs=3, batch_size=8, optimizer=SGD(lr=0.1)),
            "runtime": Runtime(root=str(tmp_path), accelerator="cpu"),
            **changes,
        }
    )


def save(directory, spec, network, name="last"):
    checkpoint = {
        "experiment": spec.model_dump(mode="json"),
        "epoch": 0,
        "global_step": 1,
        "state_dict": {f"network.{key}": value for key, value in network.state_dict().items()}
        | {"tallies.val_.sums": torch.zeros(4)},
    }
    path = {"last": directory.last_checkpoint, "best": directory.best_checkpoint}[name]
    AtomicCheckpointIO().save_checkpoint(checkpoint, path)


@pytest.fixture
def directory(tmp_path):
    """An interrupted run whose last weights are all 0.5 and whose best are all 0.25."""
    spec = experiment(tmp_path)
    directory = RunDirectory.of(spec)
    directory.create(spec)
    network = build.network(spec)
    for name, value in {"last": 0.5, "best": 0.25}.items():
        for parameter in network.parameters():
            torch.nn.init.constant_(parameter, value)
        save(directory, spec, network, name)
    return directory


@pytest.mark.parametrize(("weights", "value"), [("last", 0.5), ("best", 0.25)])
def test_the_network_has_the_trained_weights(directory, weights, value):
    network = TrainedRun.read(directory.path).network(weights)
    assert not network.training
    for parameter in network.parameters():
        assert torch.equal(parameter, torch.full_like(parameter, value))


def test_the_data_are_those_of_the_experiment(directory):
    data = TrainedRun.read(directory.path).data()
    assert data.num_classes == 10
    assert data.batch_size == 8


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(InputError, match=r"nowhere is not a run directory: .* experiment\.yaml"):
        TrainedRun.read(tmp_path / "nowhere")


def test_a_run_without_weights(directory):
    directory.best_checkpoint.unlink()
    with pytest.raises(
        InputError, match=r"has no best weights yet: checkpoints/best\.ckpt is miss"
    ):
        TrainedRun.read(directory.path).network("best")


def test_weights_of_another_experiment(directory, tmp_path):
    other = experiment(tmp_path, seed=1)
    save(directory, other, build.network(other))
    with pytest.raises(InputError, match=f"last.ckpt belongs to experiment {other.id}, not to"):
        TrainedRun.read(directory.path).network("last")


def test_damaged_weights(directory):
    whole = directory.last_checkpoint.read_bytes()
    directory.last_checkpoint.write_bytes(whole[:-100])
    with pytest.raises(InputError, match="differs from what was written"):
        TrainedRun.read(directory.path).network("last")


def test_weights_that_do_not_fit(directory, tmp_path):
    wider = experiment(tmp_path, model=ResNet(depth=18, width=3, stem="cifar"))
    save(directory, experiment(tmp_path), build.network(wider))
    with pytest.raises(InputError, match="do not fit the network"):
        TrainedRun.read(directory.path).network("last")
