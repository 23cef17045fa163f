import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_loader_under_a_fuzzer_that_sees_what_it_reaches(tmp_path, record_inputs):
    pytest.importorskip("atheris", reason="pip install atheris")
    corpus, finds = tmp_path / "corpus", tmp_path / "finds"
    corpus.mkdir()
    finds.mkdir()
    for folder in ("experiments", "ablations"):
        for file in (ROOT / folder).glob("*.yaml"):
            shutil.copy(file, corpus)
    options = [
        "-max_total_time=20",
        "-timeout=60",
        "-seed=1",
        "-rss_limit_mb=0",
        f"-artifact_prefix={finds}/",
    ]
    done = subprocess.run(
        [sys.executable, "tests/spec/fuzz_load.py", *options, "-print_final_stats=1", str(corpus)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert not list(finds.iterdir())
    tried = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    assert tried
    assert int(tried[1]) > 100
    record_inputs(int(tried[1]))
