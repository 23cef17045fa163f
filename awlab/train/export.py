"""`awlab export`: the network of a run as one file for programs that know no awlab."""

import importlib
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from torch import Tensor, nn

from awlab.data.classification import ClassificationData
from awlab.spec.errors import InputError
from awlab.spec.load import dump
from awlab.train.quiet import logged
from awlab.train.trained import TrainedRun, Weights

Format = Literal["torch", "onnx"]
SUFFIXES: dict[Format, str] = {"torch": ".pt2", "onnx": ".onnx"}
TOLERANCE = 1e-4
"""Largest difference to the network itself, over the largest logit or 1."""
CHECKED_BATCHES = (1, 3)
"""The network is traced with another batch size than these."""
HAS_NO_FORM: dict[Format, str] = {
    "torch": "",
    "onnx": "; a layer that makes a group of each sample, as condconv does, fixes the size of a "
    "batch there, and can be exported as 'torch' only",
}
"""What a format lacks, for its errors."""
METADATA = "awlab.json"
"""Name of the metadata within the file that torch writes."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        file: The network.
        difference: Largest difference between its logits and those of the network, on random
            images in batches of several sizes.
    """

    file: Path
    difference: float


def export_run(
    folder: Path, to: Format, *, weights: Weights = "last", output: Path | None = None
) -> Exported:
    """Write the network of a run as a program that takes batches of any size, and try it.

    `torch` is a program of `torch.export`, with its weights under their names; `onnx` runs in
    ONNX Runtime and elsewhere. Both carry `metadata`. Where a file was before, it stays until
    another one has been tried.

    Args:
        folder: The run directory.
        to: Which format.
        weights: Of which epoch.
        output: Where to; the folder `exports` of the run directory if left out.

    Raises:
        InputError: When there is no such run, it has no such weights, its data are missing, the
            network cannot be exported, the file cannot be written, or a library is missing.
        RuntimeError: When the file computes something else.
    """
    run = TrainedRun.read(folder)
    if run.experiment.model.task != "classification":
        raise InputError(f"{folder} is a run of a detector: only classifiers can be exported yet")
    if to == "onnx":
        _import_onnx()
    network = run.network(weights)
    facts = metadata(run, weights)
    file = output or run.directory.exports / f"{weights}{SUFFIXES[to]}"
    size = run.experiment.data.image_size
    image = torch.zeros(2, run.experiment.data.channels, size, size)
    with logged(None):
        program = trace(network, image)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(prefix=".awlab-", dir=file.parent) as drafts:
                draft = Path(drafts) / file.name  # Which torch writes into the file, too.
                _write(program, draft, to, facts)
                difference = _difference(network, draft, to, image)
                if not difference <= TOLERANCE:
                    raise RuntimeError(
                        f"{file} computes other logits than the network: by {difference:.1e}"
                    )
                for part in sorted(draft.parent.iterdir(), reverse=True):
                    part.replace(file.parent / part.name)  # FILE.data, of more than 2 GB, first.
        except OSError as error:
            raise InputError(f"cannot write {file}: {error.strerror or error}") from error
    return Exported(file, difference)


def metadata(run: TrainedRun, weights: Weights) -> dict[str, Any]:
    """What a program must know to feed the network and to read its logits."""
    data, spec = run.data(), run.experiment
    assert isinstance(data, ClassificationData)
    size = spec.data.image_size
    return {
        "awlab": version("awlab"),
        "name": spec.name,
        "id": spec.id,
        "weights": weights,
        "input": "RGB or grey values in [0, 1], less mean, over std",
        "shape": ["batch", spec.data.channels, size, size],
        "mean": list(data.mean),
        "std": list(data.std),
        "classes": list(data.class_names),
        "experiment": dump(spec),
    }


def trace(network: nn.Module, images: Tensor) -> torch.export.ExportedProgram:
    """Trace a network for batches of any size.

    Args:
        network: Maps images to logits.
        images: A batch of at least two.

    Raises:
        InputError: When the network fixes the size of the batch, or does what cannot be traced.
    """
    batch = ({0: torch.export.Dim("batch")},)
    try:
        return torch.export.export(network, (images,), dynamic_shapes=batch, strict=False)
    except Exception as error:  # Torch has a dozen ways to say no.
        raise InputError(
            f"the network cannot be exported for batches of any size. torch says: {_reason(error)}"
        ) from error


def _write(
    program: torch.export.ExportedProgram, file: Path, to: Format, facts: dict[str, Any]
) -> None:
    try:
        (_write_onnx if to == "onnx" else _write_torch)(program, file, facts)
    except OSError:
        raise
    except Exception as error:  # As many as `trace` may see.
        raise InputError(
            f"the network cannot be written in the format {to!r}{HAS_NO_FORM[to]}. "
            f"torch says: {_reason(error)}"
        ) from error


def _reason(error: BaseException) -> str:
    """What went wrong at first: torch wraps it in what it was doing."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().partition("\n")[0]


def _write_torch(program: torch.export.ExportedProgram, file: Path, facts: dict[str, Any]) -> None:
    torch.export.save(program, file, extra_files={METADATA: json.dumps(facts)})


def _write_onnx(program: torch.export.ExportedProgram, file: Path, facts: dict[str, Any]) -> None:
    made = torch.onnx.export(
        program, input_names=["images"], output_names=["logits"], dynamo=True, verbose=False
    )
    assert made is not None
    for value in (*made.model.graph.inputs, *made.model.graph.outputs):
        assert value.shape is not None
        value.shape = type(value.shape)(["batch", *value.shape[1:]])
    texts = {name: v if isinstance(v, str) else json.dumps(v) for name, v in facts.items()}
    made.model.metadata_props.update(texts)
    made.save(file)


def _difference(network: nn.Module, file: Path, to: Format, image: Tensor) -> float:
    """How far what was written, read back, is from the network."""
    compute = _onnx_program(file) if to == "onnx" else torch.export.load(file).module()
    generator = torch.Generator().manual_seed(0)
    largest = 0.0
    for count in CHECKED_BATCHES:
        images = torch.randn(count, *image.shape[1:], generator=generator)
        with torch.no_grad():
            expected, found = network(images), compute(images)
        scale = max(1.0, float(expected.abs().max()))
        largest = max(largest, float((found - expected).abs().max()) / scale)
    return largest


def _onnx_program(file: Path) -> Any:
    session = _import_onnx().InferenceSession(file, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def _import_onnx() -> Any:
    try:
        importlib.import_module("onnxscript")
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise InputError(
            f"ONNX cannot be written and tried ({error}): pip install 'awlab[onnx]'"
        ) from error
