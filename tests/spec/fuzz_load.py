"""Feed the loader with what atheris makes of good files, guided by the lines that they reach.

    python tests/spec/fuzz_load.py CORPUS -max_total_time=600

The corpus is a folder of files to begin with; the options are those of libFuzzer.
"""

import importlib
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

atheris: Any = importlib.import_module("atheris")  # Has no wheels for some versions of Python.

with atheris.instrument_imports(include=["awlab", "yaml"]):
    from awlab.plan import read_ablation
    from awlab.spec.errors import SpecError
    from awlab.spec.experiment import Experiment
    from awlab.spec.load import load_experiment


def main() -> None:
    """Fuzz until libFuzzer's options say that it is enough."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "fuzzed.yaml")

        def load(content: bytes) -> None:
            file.write_bytes(content)
            with suppress(SpecError):
                assert isinstance(load_experiment(file), Experiment)
            with suppress(SpecError):
                read_ablation(file)

        atheris.Setup(sys.argv, load)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
