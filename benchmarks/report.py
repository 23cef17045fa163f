"""What it costs to report a large study: 100 cells with 5 seeds, 200 epochs each.

Run: python benchmarks/report.py

Every run has what a finished run has: its settings, 9 lines of metrics per epoch, its result; one
network of each cell has explained 8 images and the attention of 16 layers. Prints the processor
time of `awlab report` in all formats, the size of the page without its pictures, and, where
chromium and chromedriver are installed, how long it takes until the page answers a reader. Exits
with 1 when a limit is missed.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

from awlab.plan import Plan, Run, plan
from awlab.record.record import Epoch, Result, write_result
from awlab.spec.ablation import Ablation
from awlab.spec.load import parse
from awlab.spec.write_yaml import write_yaml

CELLS, SEEDS, EPOCHS, ROWS_PER_EPOCH = 100, 5, 200, 9
IMAGES, LAYERS, BINS = 8, 16, 40
REPORT_SECONDS, PAGE_BYTES, ANSWER_SECONDS = 5.0, 1_000_000, 1.0
PICTURE = re.compile(r'"data:image/[^"]*"')


def study(root: Path) -> dict[str, Any]:
    """Return a study whose cells differ in the reduction of their attention."""
    values = {f"r{k}": {"kind": "aw", "reduction": k} for k in range(1, CELLS + 1)}
    return {
        "name": "large",
        "base": {
            "name": "large",
            "model": {"kind": "resnet", "depth": 18, "width": 4, "stem": "cifar"},
            "data": {"kind": "digits"},
            "training": {
                "epochs": EPOCHS,
                "batch_size": 64,
                "optimizer": {"kind": "sgd", "lr": 0.1},
            },
            "runtime": {"root": str(root / "runs")},
        },
        "axes": {"conv": {"path": "model.conv", "values": values}},
        "baseline": "r1",
        "seeds": SEEDS,
    }


def finish(run: Run) -> None:
    """Leave behind what a finished run leaves."""
    directory = run.directory
    directory.create(run.experiment)
    error = 20 + (run.seed + len(run.cell)) % 7
    names = ["train/loss_step"] * (ROWS_PER_EPOCH - 2) + ["train/loss", "val/top1_error"]
    rows = [
        {"epoch": epoch, "step": 400 * epoch + k, name: error / (1 + epoch)}
        for epoch in range(EPOCHS)
        for k, name in enumerate(names)
    ]
    directory.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    last = Epoch(EPOCHS - 1, {"val/top1_error": error})
    result = Result(
        id=run.id, name=run.experiment.name, metrics={"test/top1_error": error},
        tested_epoch=EPOCHS - 1, last=last, best=last, epochs=EPOCHS, steps=400 * EPOCHS,
        parameters=100_000 + len(run.cell), gmacs=0.1, seconds=60.0, images_per_second=100.0,
        peak_memory_bytes=2**30, attempts=1,
    )  # fmt: skip
    write_result(directory, result)


def explain(run: Run) -> None:
    """Leave behind what a run leaves that explained images and attention."""
    folder = run.directory.gradcam
    folder.mkdir()
    images = []
    for k in range(IMAGES):
        files = {"image": f"{k:03d}-input.png", "overlay": f"{k:03d}-overlay.png"}
        for name in files.values():
            Image.effect_noise((208, 208), 60).convert("RGB").save(folder / name)
        said = {"source": k, "truth": "cat", "prediction": "dog", "confidence": 0.5}
        images.append(files | said | {"drop": 30.0, "deletion": 0.25, "insertion": 0.75})
    listed = {"layer": "layer4", "images": images}
    (folder / "explanations.json").write_text(json.dumps(listed))
    layer = {
        "layer": "layer1.0.conv1", "sizes": {"c2": 64, "c1": 64, "h": 3, "w": 3},
        "distinct": {"c2": 64, "c1": 1, "h": 3, "w": 3}, "f2": "residual", "mean": 0.5, "sd": 0.1,
        "histogram": [k / 780 for k in range(BINS)], "followed": "c2", "class_share": 0.2,
        "by_class": [[(k * j) % 7 / 10 for j in range(64)] for k in range(20)],
        "variance": dict.fromkeys(
            ("image", "c2", "c1", "taps", "image_c2", "image_c1", "image_taps", "rest"), 0.125
        ),
    }  # fmt: skip
    attention = {"images": 200, "classes": list("abcdefghij"), "layers": [layer] * LAYERS}
    (folder / "attention.json").write_text(json.dumps(attention))


def report_seconds(file: Path) -> float:
    """Processor time of the whole command, from its start to its end."""
    before = time_of_children()
    command = [sys.executable, "-m", "awlab", "report", file.name]
    subprocess.run(command, cwd=file.parent, check=True, capture_output=True)
    return time_of_children() - before


def time_of_children() -> float:
    """Of those that have ended."""
    import resource

    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def answer_seconds(page: Path) -> float | None:
    """Until the scripts of the page are done and a click on a table's title has sorted it."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        return None
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = binary
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage"):
        options.add_argument(f"--{argument}")
    with Chrome(options=options, service=ChromeService(driver)) as browser:
        browser.get(page.as_uri())
        entry = "return performance.getEntriesByType('navigation')[0].domComplete / 1000"
        loaded = browser.execute_script(entry)
        sort = (
            "const start = performance.now();"
            "document.querySelector('.results th button').click();"
            "document.body.offsetHeight; return (performance.now() - start) / 1000"
        )
        return loaded + browser.execute_script(sort)


def main() -> int:
    """Print what was measured; 1 when a limit is missed."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        made: Plan = plan(parse(Ablation, study(root)))
        for run in made.runs:
            finish(run)
            if run.seed == 0:
                explain(run)
        file = root / "large.yaml"
        file.write_text(write_yaml(study(root)))
        started = time.perf_counter()
        seconds = report_seconds(file)
        wall = time.perf_counter() - started
        page = root / "studies" / "large" / "report" / "index.html"
        text = page.read_text(encoding="utf-8")
        size = len(PICTURE.sub("", text).encode())
        answer = answer_seconds(page)
    print(f"runs {len(made.runs)}, epochs {EPOCHS}")
    print(f"report in all formats: {seconds:.2f} s of a processor, {wall:.2f} s (limit 5)")
    print(f"page without pictures: {size / 1e6:.3f} MB (limit 1), with {len(text) / 1e6:.2f} MB")
    told = "not measured: no chromium" if answer is None else f"{answer:.2f} s (limit 1)"
    print(f"until the page answers: {told}")
    missed = seconds > REPORT_SECONDS or size > PAGE_BYTES or (answer or 0) > ANSWER_SECONDS
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
