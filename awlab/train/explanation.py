"""Pictures of what a network looks at, with what it says about the image."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from awlab.contact_sheet import Pair, contact_sheet
from awlab.faithfulness import faithfulness
from awlab.gradcam import GradCAM, default_layer, evaluating
from awlab.pictures import overlay, picture
from awlab.record.run_directory import write_atomically

SHEET = "contact_sheet.png"
"""File with all explained images, beside their own files."""
LIST = "explanations.json"
"""File that says what the network made of each image."""
MOST_ON_SHEET = 64
"""Images on a contact sheet; the others have their own files only."""
IMAGES_AT_ONCE = 16
"""Bounds the memory that an explanation takes."""


@dataclass(frozen=True)
class Subjects:
    """Images to explain.

    Attributes:
        sources: Which image each is: its position in the test set, or its file.
        pixels: For display, uint8 (N, H, W, 3).
        inputs: As the network wants them, (N, C, H, W).
        truths: Names of the true classes; None where they are not known.
        what: The images in words.
    """

    sources: Sequence[int | str]
    pixels: Tensor
    inputs: Tensor
    truths: Sequence[str | None]
    what: str


@dataclass(frozen=True)
class Explanation:
    """One explained image.

    Attributes:
        source: Which image: its position in the test set, or its file.
        image: Picture of the input.
        overlay: Picture of the evidence for the prediction, laid over the input.
        prediction: Name of the predicted class.
        truth: Name of the true class; None where it is not known.
        confidence: Probability of the predicted class.
        drop: How faithful the evidence is, as in `awlab.faithfulness.Faithfulness`.
        deletion: Likewise.
        insertion: Likewise.
    """

    source: int | str
    image: Path
    overlay: Path
    prediction: str
    truth: str | None
    confidence: float
    drop: float
    deletion: float
    insertion: float

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {**vars(self), "image": str(self.image), "overlay": str(self.overlay)}


def write_explanations(
    network: nn.Module,
    subjects: Subjects,
    class_names: Sequence[str],
    directory: Path,
    *,
    layer: str | None,
    title: str,
) -> list[Explanation]:
    """Write two pictures per image, a contact sheet and a list, in place of those of before.

    Raises:
        ValueError: When there is no such layer, or it yields no maps.
    """
    device = next(network.parameters()).device
    layer = layer or default_layer(network, subjects.inputs[:1].to(device))
    looks = list(_looks(GradCAM(network, layer), subjects.inputs, device))
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("[0-9]*-*.png"):
        old.unlink()
    pairs = [
        Pair(
            image=picture(pixels),
            overlay=overlay(pixels, look.cam.numpy()),
            prediction=class_names[look.predicted],
            truth=truth,
            confidence=look.confidence,
        )
        for pixels, truth, look in zip(
            np.asarray(subjects.pixels), subjects.truths, looks, strict=True
        )
    ]
    subtitle = _subtitle(layer, subjects.what, pairs)
    contact_sheet(pairs[:MOST_ON_SHEET], title=title, subtitle=subtitle).save(directory / SHEET)
    explanations = [
        _save(pair, look, source, directory / f"{number:03d}")
        for number, (pair, look, source) in enumerate(
            zip(pairs, looks, subjects.sources, strict=True)
        )
    ]
    _write_list(explanations, layer, directory / LIST)
    return explanations


@dataclass(frozen=True)
class _Look:
    """What a network makes of an image; the evidence is (H, W)."""

    predicted: int
    confidence: float
    cam: Tensor
    drop: float
    deletion: float
    insertion: float


def _looks(gradcam: GradCAM, inputs: Tensor, device: torch.device) -> Iterator[_Look]:
    for some in inputs.split(IMAGES_AT_ONCE):
        images = some.to(device)
        with evaluating(gradcam.model), torch.no_grad():
            confidence, predicted = gradcam.model(images).float().softmax(1).max(1)
        cams = gradcam(images, predicted)
        measured = faithfulness(gradcam.model, images, cams, predicted)
        columns = (
            predicted.tolist(), confidence.tolist(), cams.cpu(),
            measured.drop.tolist(), measured.deletion.tolist(), measured.insertion.tolist(),
        )  # fmt: skip
        yield from (_Look(*row) for row in zip(*columns, strict=True))


def _subtitle(layer: str, what: str, pairs: Sequence[Pair]) -> str:
    text = f"Grad-CAM at {layer}, {len(pairs)} {what}"
    if all(pair.truth is not None for pair in pairs):
        text += f", {sum(pair.prediction == pair.truth for pair in pairs)} right"
    return text if len(pairs) <= MOST_ON_SHEET else f"{text}; the first {MOST_ON_SHEET} are shown"


def _save(pair: Pair, look: _Look, source: int | str, stem: Path) -> Explanation:
    image, laid = (stem.with_name(f"{stem.name}-{which}.png") for which in ("input", "overlay"))
    pair.image.save(image)
    pair.overlay.save(laid)
    return Explanation(
        source, image, laid, pair.prediction, pair.truth, pair.confidence,
        look.drop, look.deletion, look.insertion,
    )  # fmt: skip


def _write_list(explanations: Sequence[Explanation], layer: str, path: Path) -> None:
    rows = [
        one.to_dict() | {"image": one.image.name, "overlay": one.overlay.name}
        for one in explanations
    ]
    write_atomically(path, json.dumps({"layer": layer, "images": rows}, indent=2) + "\n")
