"""From a YAML file to an ablation with its base."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from awlab.plan.design import design
from awlab.plan.experiments import experiments
from awlab.plan.names import note
from awlab.spec.ablation import Ablation
from awlab.spec.document import Document
from awlab.spec.errors import Problem, SpecError
from awlab.spec.experiment import Experiment
from awlab.spec.load import load_experiment, means_ablation, means_experiment, read_document
from awlab.spec.overrides import override
from awlab.spec.plugins import import_plugins
from awlab.spec.validation import validate

_OF_BASE = "base."


def load_ablation(path: Path | str, overrides: Sequence[str] = ()) -> Ablation:
    """Load an ablation and the experiment that is its base.

    Args:
        path: A YAML file.
        overrides: Arguments such as `seeds=3`; `base.training.epochs=5` changes the base.

    Raises:
        SpecError: With everything that is wrong.
    """
    return read_ablation(path, overrides)[0]


def read_ablation(path: Path | str, overrides: Sequence[str] = ()) -> tuple[Ablation, Document]:
    """Load an ablation as `load_ablation` does, with the places where its values are written."""
    document = read_document(path)
    if means_experiment(document):
        hint = "`awlab run` executes experiments."
        message = "is an experiment; expected an ablation"
        raise SpecError([Problem("", message, str(path), hint=hint)])
    of_base = [argument for argument in overrides if argument.startswith(_OF_BASE)]
    override(document, [argument for argument in overrides if argument not in of_base])
    data: Any = document.data
    base: Any = cast("dict[str, Any]", data).get("base") if isinstance(data, dict) else None
    if isinstance(base, str):
        arguments = [argument.removeprefix(_OF_BASE) for argument in of_base]
        data["base"] = _load_base(Path(path).parent / base, arguments, document) or base
    else:
        override(document, of_base)
        _import_plugins_of(base, document)
    return validate(Ablation, document), document


def validate_file(path: Path | str) -> None:
    """Check an experiment, or an ablation with all its cells.

    Raises:
        SpecError: With everything that is wrong.
    """
    if not is_ablation(path):
        load_experiment(path)
        return
    ablation, document = read_ablation(path)
    experiments(ablation, design(ablation, document).run_cells, document)


def is_ablation(path: Path | str) -> bool:
    """Say whether a YAML file means to describe an ablation, rather than an experiment.

    Raises:
        SpecError: When it cannot be read.
    """
    return means_ablation(read_document(path))


def _load_base(path: Path, overrides: Sequence[str], study: Document) -> Experiment | None:
    """Load the base, or add what is wrong to the problems of the study."""
    try:
        if not is_ablation(path):
            return load_experiment(path, overrides)
        note(study, ("base",), f"{path} is an ablation; expected an experiment")
    except SpecError as error:
        for problem in error.problems:
            if problem.line is None and problem.file == str(path):
                note(study, ("base",), f"{path}: {problem.message}", hint=problem.hint)
            else:
                study.problems.append(problem)
    return None


def _import_plugins_of(base: Any, study: Document) -> None:
    """Import what an experiment that stands in the study itself names under `plugins`."""
    inline = Document(base)
    for marks, found in ((study.keys, inline.keys), (study.values, inline.values)):
        found.update({path[1:]: mark for path, mark in marks.items() if path[:1] == ("base",)})
    import_plugins(inline)
