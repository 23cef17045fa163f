"""The house rules that no linter knows."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    path.relative_to(ROOT / "awlab")
    for path in (ROOT / "awlab").rglob("*.py")
    if path.name not in {"__init__.py", "__main__.py"}
)


def test_every_module_has_a_test_at_the_same_path() -> None:
    missing = [
        str(module)
        for module in MODULES
        if not (ROOT / "tests" / module.parent / f"test_{module.name}").is_file()
    ]
    assert not missing


@pytest.mark.parametrize("word", ["utils", "helpers", "misc", "common", "manager"])
def test_no_junk_drawer(word: str) -> None:
    assert not [module for module in MODULES if word in module.stem]


def test_source_is_ascii() -> None:
    sources = [path for room in ("awlab", "tests") for path in (ROOT / room).rglob("*.py")]
    assert not [str(path) for path in sources if not path.read_text(encoding="utf-8").isascii()]


def test_no_module_prints() -> None:
    def prints(path: Path) -> bool:
        return any(
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "print"
            for node in ast.walk(ast.parse(path.read_text()))
        )

    assert not [str(module) for module in MODULES if prints(ROOT / "awlab" / module)]


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["validate", "experiments/quickstart.yaml"], ["schema", "experiment"], ["list"]],
)
def test_light_verbs_leave_torch_alone(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from awlab.cli import app\n"
        f"try: app({arguments!r})\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'lightning', 'wandb', 'torchvision'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
