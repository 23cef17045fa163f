from awlab.record.study_directory import StudyDirectory
from awlab.spec.ablation import Ablation
from awlab.spec.load import parse


def test_it_lies_beside_the_runs(tmp_path):
    base = {
        "name": "base",
        "model": {"kind": "resnet"},
        "data": {"kind": "digits"},
        "training": {"epochs": 1, "batch_size": 8, "optimizer": {"kind": "sgd", "lr": 0.1}},
        "runtime": {"root": str(tmp_path / "runs")},
    }
    axes = {"lr": {"path": "training.optimizer.lr", "values": [0.1, 0.2]}}
    data = {"name": "rates", "base": base, "axes": axes, "baseline": 0.1}
    directory = StudyDirectory.of(parse(Ablation, data))
    assert directory.path == tmp_path / "studies" / "rates"
    assert directory.report == tmp_path / "studies" / "rates" / "report"
    assert not directory.path.exists()
