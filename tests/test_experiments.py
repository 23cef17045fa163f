"""Every shipped experiment builds; every classifier is trained for two steps, made small."""

import pickle
import re
from pathlib import Path

import pytest
import torch

from awlab import build
from awlab.complexity import empty_image, evaluate
from awlab.record.run_directory import RunDirectory
from awlab.spec.load import load_experiment
from awlab.train.fit import run

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
FILES = sorted(EXPERIMENTS.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_experiment_builds(path):
    experiment = load_experiment(path)
    with torch.device("meta"):
        network = build.network(experiment).eval()
        logits = evaluate(network, empty_image(experiment))
    if experiment.model.task == "classification":
        assert logits.shape == (1, experiment.data.num_classes)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_experiment_says_where_it_is_from_and_how_to_run_it(path):
    text = path.read_text()
    comment = text[: text.index("\nname: ")]
    assert all(line.startswith("# ") for line in comment.splitlines())
    assert re.search(r"% (top-1 error|AP|AP50|mAP)\b|Expected: unknown", comment)
    assert f"Run: awlab run experiments/{path.name}" in comment
    assert load_experiment(path).name == path.stem


NARROW = {
    "resnet": ["model.width=4"],
    "mobilenet": ["model.width=0.1"],
    "aa_wide_resnet": ["model.width=1", "model.self_attention.heads=1"],
}
TINY_DATA = {
    "cifar100": ["data.validation_fraction=0.2"],
    "image_folder": [
        "data.folder=pets",
        "data.classes=3",
        "data.size=32",
        "data.resize=36",
        "data.validation_fraction=0.25",
    ],
    "photo_patches": [f"data.{split}_patches=40" for split in ("train", "validation", "test")],
}
QUICK = {"imagenet_aw_se_mobilenet", "imagenet_aw_cbam_spatial_resnet50", "cifar100_aw_aa_1"}
CLASSIFIERS = [path for path in FILES if load_experiment(path).model.task == "classification"]


@pytest.fixture
def fifty_of_cifar100(small_cifar100: Path) -> Path:
    """The data root with fewer images yet: 50 to train and 10 to test."""
    for name, count in (("train", 50), ("test", 10)):
        file = small_cifar100 / "cifar-100-python" / name
        content = pickle.loads(file.read_bytes())
        for key in ("data", "filenames", "fine_labels", "coarse_labels"):
            content[key] = content[key][:count]
        file.write_bytes(pickle.dumps(content, protocol=2))
    return small_cifar100


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, marks=[] if p.stem in QUICK else pytest.mark.slow) for p in CLASSIFIERS],
    ids=lambda path: path.stem,
)
def test_every_shipped_classifier_takes_two_steps(
    path: Path, small_image_folder: Path, fifty_of_cifar100: Path, tmp_path: Path
) -> None:
    """On tiny data in the real format, with a narrow network and otherwise as it is."""
    shipped = load_experiment(path)
    data = shipped.data.model_dump()["kind"]
    assert small_image_folder == fifty_of_cifar100
    shallow = ["model.depth=10"] if path.stem == "cifar100_aa_wrn28_10" else []
    made_small = [
        *NARROW[shipped.model.model_dump()["kind"]],
        *shallow,
        *TINY_DATA[data],
        "training.epochs=1",
        f"training.batch_size={9 if data == 'image_folder' else 20}",
        "training.precision=32-true",
        f"runtime.data_root={small_image_folder}",
        f"runtime.root={tmp_path / 'runs'}",
        "runtime.accelerator=cpu",
        "runtime.workers=0",
        "runtime.wandb=disabled",
        "runtime.gradcam_images=0",
    ]
    result = run(load_experiment(path, made_small), console=None)
    assert result is not None
    assert result.steps == 2
    assert 0 <= result.metrics["test/top1_error"] <= 100


DETECTORS = [path for path in FILES if load_experiment(path).model.task == "detection"]
SMALL_DETECTOR = {
    "faster_rcnn": [
        "model.backbone.depth=18",
        "model.backbone.width=2",
        "model.backbone.stride_in=1x1",
        "model.fpn_channels=48",
        "model.min_sizes=[48]",
        "model.max_size=64",
        "model.proposals=10",
        "model.hidden=8",
    ],
    "ssd300": [],
}
FROM_SCRATCH = ["backbone_weights=null", "trainable_layers=5"]
TINY_SCENES = {
    "coco": ["data.classes=3", "data.validation=0.25"],
    "voc": [
        'data.classes=["0", "1", "2"]',
        "data.train=[VOC2007/trainval]",
        "data.validation=0.34",
        "training.precision=32-true",
    ],
    "digit_scenes": [f"data.{split}_images=10" for split in ("train", "validation", "test")],
}
QUICK_DETECTORS = {"coco_faster_rcnn_aw", "coco_faster_rcnn_aw_cbam", "quickstart_detection"}


def keep_few_of_voc(folder: Path) -> None:
    """Three images with objects to train and validate on, one to test: SSD300 is slow on a CPU."""
    for subset, count in (("trainval", 3), ("test", 1)):
        file = folder / "VOC2007" / "ImageSets" / "Main" / f"{subset}.txt"
        annotations = folder / "VOC2007" / "Annotations"
        names = file.read_text().split()
        some = [n for n in names if "<object>" in (annotations / f"{n}.xml").read_text()]
        file.write_text("\n".join(some[:count]) + "\n")


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(p, marks=[] if p.stem in QUICK_DETECTORS else pytest.mark.slow)
        for p in DETECTORS
    ],
    ids=lambda path: path.stem,
)
def test_every_shipped_detector_takes_two_steps(
    path: Path, small_coco: Path, small_voc: Path, tmp_path: Path
) -> None:
    """On tiny data in the real format, two images at a time, untrained and otherwise as it is."""
    shipped = load_experiment(path)
    model, data = (spec.model_dump()["kind"] for spec in (shipped.model, shipped.data))
    assert small_coco == small_voc
    frozen = ["model.freeze_batch_norm=false"] if model == "faster_rcnn" else []
    batch = {"coco": 4, "voc": 1, "digit_scenes": 5}[data]  # Of 9, 2 and 10 training images.
    keep_few_of_voc(small_voc / "VOCdevkit")
    made_small = [
        *SMALL_DETECTOR[model],
        *frozen,
        *(f"model.{setting}" for setting in FROM_SCRATCH),
        *TINY_SCENES[data],
        "training.epochs=1",
        f"training.batch_size={batch}",
        f"runtime.data_root={small_coco}",
        f"runtime.root={tmp_path / 'runs'}",
        "runtime.accelerator=cpu",
        "runtime.workers=0",
        "runtime.wandb=disabled",
        "runtime.gradcam_images=2",
        f"runtime.max_images_per_device={5 if data == 'digit_scenes' else 2}",
    ]
    spec = load_experiment(path, made_small)
    result = run(spec, console=None)
    assert result is not None
    assert result.steps == 2
    assert 0 <= result.metrics["test/map"] <= 100
    assert (RunDirectory.of(spec).detections / "contact_sheet.png").is_file()
    if data == "voc":
        assert result.metrics.keys() >= {"test/map_50_voc07", "test/map_50_voc12"}
