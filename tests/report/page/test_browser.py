"""The page in a real browser: what no reading of its HTML can tell."""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from awlab.plan import Plan
from awlab.record.run_directory import RunDirectory
from awlab.report.collect import collect
from awlab.report.page import render
from awlab.report.write import write_report
from tests.test_layer_attention import LAYER

MakePlan = Callable[..., Plan]
Finish = Callable[..., RunDirectory]
Explain = Callable[..., None]
STUDY: dict[str, Any] = {
    "axes": {"f2": {"path": "model.conv.f2", "values": ["residual", "product"]}},
    "baseline": "residual",
    "seeds": 6,
}
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    """Chromium without a window, in which no name leads to any other machine."""
    binary = next(filter(None, map(shutil.which, NAMES)), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("needs chromium and chromedriver")
    options = ChromeOptions()
    options.binary_location = binary
    for argument in (
        "headless=new",
        "no-sandbox",
        "disable-dev-shm-usage",
        "host-resolver-rules=MAP * 127.0.0.1",
    ):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = ChromeService(driver)
    with Chrome(options=options, service=service) as browser:
        yield browser


@pytest.fixture
def show(browser: Chrome, tmp_path: Path) -> Callable[[str], Chrome]:
    def open_page(html: str) -> Chrome:
        path = tmp_path / "page.html"
        path.write_text(html, encoding="utf-8")
        for kind in ("browser", "performance"):
            logs(browser, kind)
        browser.get(path.as_uri())
        return browser

    return open_page


@pytest.fixture
def html(make_plan: MakePlan, finish: Finish, explain: Explain) -> str:
    """A study in which product is better."""
    for k, cell in enumerate(make_plan(**STUDY).cells):
        for run in cell.runs:
            finish(run, 10 - k + 0.1 * run.seed, parameters=1000 + k, gmacs=0.1 * (1 + k))
        explain(cell.runs[0], {"prediction": "cat"})
    plan = make_plan(**STUDY)
    return render(plan, collect(plan))


def logs(browser: Chrome, kind: str) -> list[dict[str, Any]]:
    return browser.get_log(kind)


def requests(browser: Chrome) -> list[str]:
    """Addresses that were asked for since the last look."""
    messages = [json.loads(entry["message"])["message"] for entry in logs(browser, "performance")]
    sent = [m["params"]["request"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [request["url"] for request in sent if not request["url"].startswith("data:")]


def column(browser: Chrome, selector: str) -> list[str]:
    found = browser.find_elements("css selector", selector)
    return [element.text for element in found]


def test_a_page_comes_whole_and_at_once(show: Callable[[str], Chrome], html: str) -> None:
    browser = show(html)
    assert logs(browser, "browser") == []
    assert [Path(url).name for url in requests(browser)] == ["page.html"]
    seconds = "return performance.getEntriesByType('navigation')[0].domComplete / 1000"
    assert browser.execute_script(seconds) < 1
    assert browser.find_element("css selector", "#chart canvas").is_displayed()
    loaded = "return [...document.images].every((image) => image.naturalWidth === 176)"
    assert browser.execute_script(loaded)


def test_rows_are_sorted_by_a_click(show: Callable[[str], Chrome], html: str) -> None:
    browser = show(html)
    assert column(browser, ".results tbody td:first-child") == ["residual", "product"]
    title = browser.find_element("css selector", ".results th:nth-child(3) button")
    for order in (["product", "residual"], ["residual", "product"]):
        title.click()
        assert column(browser, ".results tbody td:first-child") == order
    header = browser.find_element("css selector", ".results th[aria-sort]")
    assert (header.text, header.get_attribute("aria-sort")) == ("test/top1_error", "descending")
    differences = browser.find_element("css selector", ".forest th.number button")
    differences.click()
    assert column(browser, ".forest tbody th") == ["product", "residual"]


@pytest.mark.slow
def test_curves_are_chosen_by_buttons(show: Callable[[str], Chrome], html: str) -> None:
    browser = show(html)
    chips = browser.find_elements("css selector", "#cells button")
    assert [chip.text.split() for chip in chips] == [["residual", "49.00"], ["product", "49.00"]]
    before = drawing(browser)
    chips[0].click()
    assert chips[0].get_attribute("aria-pressed") == "false"
    assert drawing(browser) != before
    chips[0].click()
    assert drawing(browser) == before
    loss = browser.find_element("xpath", "//button[text()='Validation loss']")
    loss.click()
    assert loss.get_attribute("aria-pressed") == "true"
    assert chips[0].text.split() == ["residual", "0.9000"]


def drawing(browser: Chrome) -> str:
    """The picture on the canvas, once the page has drawn it."""
    script = """
        const done = arguments[0];
        requestAnimationFrame(() => requestAnimationFrame(
            () => done(document.querySelector("#chart canvas").toDataURL())));
    """
    return browser.execute_async_script(script)


@pytest.mark.slow
def test_the_theme_is_that_of_the_system_until_the_button_says_otherwise(
    show: Callable[[str], Chrome], html: str
) -> None:
    browser = show(html)
    ink = "return getComputedStyle(document.body).color"
    light, dark = "rgb(29, 29, 31)", "rgb(236, 235, 231)"
    for scheme, colour, other in (("light", light, dark), ("dark", dark, light)):
        feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
        browser.refresh()
        assert browser.execute_script(ink) == colour
        before = drawing(browser)
        browser.find_element("id", "theme").click()
        assert browser.execute_script(ink) == other
        assert drawing(browser) != before
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.slow
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_sticks_out_of_a_narrow_screen(
    show: Callable[[str], Chrome], html: str, width: int
) -> None:
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser = show(html)
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    drawing(browser)
    sticks_out = "return document.documentElement.scrollWidth > innerWidth"
    assert not browser.execute_script(sticks_out)
    assert browser.execute_script("return innerWidth") == width
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_policy_holds(show: Callable[[str], Chrome], html: str) -> None:
    browser = show(html)
    script = """
        const done = arguments[0], violations = [];
        document.addEventListener("securitypolicyviolation",
            (event) => violations.push(event.effectiveDirective));
        const script = document.createElement("script");
        script.textContent = "window.hacked = true";
        const image = document.createElement("img");
        image.src = "http://example.com/pixel.png";
        const button = document.createElement("button");
        button.setAttribute("onclick", "window.hacked = true");
        const style = document.createElement("style");
        style.textContent = "body { display: none }";
        document.body.append(script, image, button, style);
        button.click();
        fetch("http://example.com/").catch(() => setTimeout(() => done(
            [violations, window.hacked === undefined])));
    """
    violations, unharmed = browser.execute_async_script(script)
    assert unharmed
    assert set(violations) == {
        "script-src-elem",
        "script-src-attr",
        "img-src",
        "style-src-elem",
        "connect-src",
    }


HOSTILE = '</script><script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">\u202e'


@pytest.mark.fault
@pytest.mark.slow
def test_names_do_nothing(
    show: Callable[[str], Chrome], make_plan: MakePlan, finish: Finish, explain: Explain
) -> None:
    for run in make_plan().runs:
        finish(run, 10.0 + run.seed)
        explain(run, {"prediction": HOSTILE, "truth": HOSTILE})
    plan = make_plan()
    labels = {name: {HOSTILE: f"{HOSTILE}{name}"} for name in ("residual", "product")}
    browser = show(render(plan, replace(collect(plan), title=HOSTILE, labels=labels)))
    assert browser.execute_script("return window.hacked") is None
    assert browser.find_element("tag name", "h1").text == HOSTILE
    assert logs(browser, "browser") == []
    chip = browser.find_element("css selector", "#cells button")
    assert HOSTILE in chip.text


@pytest.mark.slow
def test_it_prints_in_light_colours(show: Callable[[str], Chrome], html: str) -> None:
    browser = show(html)
    feature = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", **feature})
    ink = "return getComputedStyle(document.body).color"
    assert browser.execute_script(ink) == "rgb(29, 29, 31)"
    assert not browser.find_element("id", "theme").is_displayed()
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    document = browser.execute_cdp_cmd("Page.printToPDF", {})
    assert len(document["data"]) > 10_000


@pytest.mark.slow
def test_a_study_of_500_runs_and_200_epochs(
    browser: Chrome, make_plan: MakePlan, finish: Finish, explain: Explain, tmp_path: Path
) -> None:
    values = {f"r{k}": {"kind": "aw", "reduction": k} for k in range(1, 101)}
    axes = {"r": {"path": "model.conv", "values": values}}
    changes: dict[str, Any] = {"axes": axes, "baseline": "r1", "seeds": 5}
    layer = replace(LAYER, histogram=[0.025] * 40)
    for run in make_plan(**changes).runs:
        directory = finish(run, 20 + (run.seed + len(run.cell)) % 7)
        rows = [
            {"epoch": epoch, "step": 400 * epoch + k, name: 50.123 / (1 + epoch)}
            for epoch in range(200)
            for k, name in enumerate(["train/loss_step"] * 7 + ["train/loss", "val/top1_error"])
        ]
        directory.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
        if run.seed == 0:
            explain(run, {"prediction": "cat"}, {"prediction": "dog"}, attention=[layer] * 16)
    start = time.perf_counter()
    path = write_report(make_plan(**changes), folder=tmp_path / "report")["html"]
    assert time.perf_counter() - start < 15
    pictures = re.compile(r'"data:image/[^"]*"')
    assert len(pictures.sub("", path.read_text())) < 1_000_000
    browser.get(path.as_uri())
    seconds = "return performance.getEntriesByType('navigation')[0].domComplete / 1000"
    assert browser.execute_script(seconds) < 1
    assert len(column(browser, "#cells button")) == 102
