"""`awlab gradcam`, and the end of every run: what a trained network looks at."""

import re
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from awlab.data.augmentation import Normalize
from awlab.data.classification import ClassificationData
from awlab.data.loose_images import read_folder
from awlab.spec.errors import InputError
from awlab.train.attention import write_attention
from awlab.train.explanation import SHEET, Explanation, Subjects, write_explanations
from awlab.train.spread import spread
from awlab.train.trained import TrainedRun, Weights

DEFAULT_IMAGES = 8
"""Explained on request where the run itself explained none."""


def explain(
    network: nn.Module,
    data: ClassificationData,
    directory: Path,
    indices: Sequence[int],
    layer: str | None = None,
) -> list[Explanation]:
    """Explain what a network predicts for test images.

    Args:
        network: Maps images to logits.
        data: Has the test images.
        directory: Below a run directory; takes two pictures per image, a contact sheet and a list,
            and what the attention of AW-convolutions does, in place of those of before.
        indices: Positions in the test set; `spread` chooses good ones.
        layer: Dotted name of the layer to look at; by default the last one that yields maps.

    Raises:
        ValueError: When there is no such layer, or it yields no maps.
    """
    title = directory.absolute().parent.name
    subjects = _test_images(data, indices)
    found = write_explanations(
        network, subjects, data.class_names, directory, layer=layer, title=title
    )
    write_attention(network, data, directory, title=title)
    return found


def explain_run(
    folder: Path,
    *,
    images: Path | None = None,
    layer: str | None = None,
    weights: Weights | None = None,
) -> tuple[Path, list[Explanation]]:
    """Explain what the network of a run predicts.

    The pictures go into the folder `gradcam` of the run directory; what differs from the
    explanation that the run itself made goes into a folder below it.

    Args:
        folder: The run directory.
        images: A folder of images; by default the test images that the run explains.
        layer: As for `explain`.
        weights: Of which epoch; by default those that were tested.

    Returns:
        The contact sheet and what is on it.

    Raises:
        InputError: When there is no such run, layer or image, or an image cannot be read.
    """
    run = TrainedRun.read(folder)
    if run.experiment.data.task == "detection":
        raise InputError(
            f"{folder} is a run of a detector, and Grad-CAM explains one class of a whole image; "
            f"the boxes that it found are in {run.directory.detections}"
        )
    weights = weights or run.experiment.training.test_weights
    network = run.network(weights)
    data = run.data()
    assert isinstance(data, ClassificationData)
    try:
        if images is None:
            count = run.experiment.runtime.gradcam_images or DEFAULT_IMAGES
            subjects = _test_images(data, spread(data.test_labels, count))
        else:
            subjects = _loose_images(data, images, run.experiment.data.image_size)
        directory = run.directory.gradcam / _folder(run, images, layer, weights)
        title = run.directory.path.absolute().name
        explanations = write_explanations(
            network, subjects, data.class_names, directory, layer=layer, title=title
        )
        if images is None:
            write_attention(network, data, directory, title=title)
    except ValueError as error:
        raise InputError(str(error)) from error
    return directory / SHEET, explanations


def _test_images(data: ClassificationData, indices: Sequence[int]) -> Subjects:
    pixels, inputs, labels = data.test_images(indices)
    truths = [data.class_names[label] for label in labels.tolist()]
    return Subjects(list(indices), pixels, inputs, truths, "test images")


def _loose_images(data: ClassificationData, folder: Path, size: int) -> Subjects:
    files, pixels = read_folder(folder, size=size, channels=len(data.mean))
    return Subjects(
        sources=[str(file) for file in files],
        pixels=pixels.expand(-1, 3, -1, -1).permute(0, 2, 3, 1),
        inputs=Normalize(data.mean, data.std)(pixels),
        truths=[None] * len(files),
        what=f"images of {folder.absolute().name}",
    )


def _folder(run: TrainedRun, images: Path | None, layer: str | None, weights: Weights) -> str:
    """Name of the folder that keeps an explanation apart from the one that the run made."""
    parts = [
        images.absolute().name if images else None,
        layer,
        weights if weights != run.experiment.training.test_weights else None,
    ]
    return re.sub(r"[^\w.-]", "_", "-".join(filter(None, parts)))
