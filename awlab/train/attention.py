"""What the attention of a trained network does on its test images, as files."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from awlab.attention_maps import attention_of_layers
from awlab.attention_sheet import attention_sheet
from awlab.data.classification import ClassificationData
from awlab.layer_attention import LayerAttention
from awlab.nn.aw_conv import AWConv2d
from awlab.record.run_directory import write_atomically
from awlab.report.attention import LIST, SHEET
from awlab.train.spread import spread

MOST_CLASSES = 20
"""That are told apart; of more, evenly chosen ones."""
MOST_IMAGES = 200
"""Over all classes."""
DIGITS = 4


def write_attention(
    network: nn.Module, data: ClassificationData, directory: Path, *, title: str
) -> list[LayerAttention]:
    """Sum up the attention maps of a network, in place of what was written before.

    Args:
        network: Trained; without an AW-convolution nothing is written.
        data: Has the test images; without one nothing is written.
        directory: Takes a picture and a list.
        title: Of the picture.
    """
    for old in (SHEET, LIST):
        (directory / old).unlink(missing_ok=True)
    indices, classes = choose_images(data.test_labels)
    if not indices or not any(isinstance(module, AWConv2d) for module in network.modules()):
        return []
    _, inputs, labels = data.test_images(indices)
    device = next(network.parameters()).device
    layers = attention_of_layers(network, inputs.to(device), labels, classes)
    names = [data.class_names[label] for label in classes]
    directory.mkdir(parents=True, exist_ok=True)
    subtitle = f"attention maps A of {len(indices)} test images of {len(classes)} classes"
    attention_sheet(layers, names, title=title, subtitle=subtitle).save(directory / SHEET)
    document = {
        "images": len(indices),
        "classes": names,
        "layers": [_rounded(layer.to_dict()) for layer in layers],
    }
    write_atomically(directory / LIST, json.dumps(document) + "\n")
    return layers


def choose_images(labels: Tensor) -> tuple[list[int], Sequence[int]]:
    """Choose test images: equally many of each class, the first ones; and the classes."""
    present = labels.unique()
    if len(present) == 0:
        return [], []
    classes = present[spread(present, MOST_CLASSES)]
    among = torch.isin(labels, classes).nonzero().flatten()
    count = MOST_IMAGES // len(classes) * len(classes)
    return among[spread(labels[among], count)].tolist(), classes.tolist()


def _rounded(value: object) -> object:
    """Few digits of each number: the list lies in every run directory and in pages."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list) else value
