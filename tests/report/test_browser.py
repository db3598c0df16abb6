"""The page as a reader has it: in Chromium, from disk, sorted by mouse and keyboard, on a phone, in the dark."""

import shutil

import numpy as np
import pytest

from rnngen.plotting import style
from rnngen.report import inspect_page, page, summary
from rnngen.report.effects import axis_effects
from rnngen.runs import open_sweep
from rnngen.storage.folder import RunFolder
from rnngen.storage.jsonl import write_json

pytest_plugins = ["handmade_sweep"]

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium or chromedriver is not installed")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def opened(chromium, sweep):
    """The browser with the page of a sweep in which a loss is infinite, one no number and one very small."""
    for trial, loss in (("rnn200", np.nan), ("rnn201", np.inf), ("rnn202", 2.5e-7), ("lstm200", 1234.5)):
        run = RunFolder(sweep / "trials" / trial)
        run.finish(run.result() | {"metrics": {"test": {"loss": loss}}})
    emulate(chromium, 1280, "light")
    drawn = [
        page.Drawn("axis_effects", axis_effects.caption, style.save(axis_effects(open_sweep(sweep)), sweep / "effects"))
    ]
    (sweep / "trials" / "lstm200" / "samples").mkdir()
    for name, file in (("wide.png", sweep / "effects.png"), ("long.txt", sweep / "sweep.json")):
        shutil.copy(file, sweep / "trials" / "lstm200" / "samples" / name)
    (sweep / "report.html").write_text(page.render(open_sweep(sweep), summary(open_sweep(sweep)), drawn))
    chromium.get((sweep / "report.html").as_uri())
    chromium.execute_script("document.querySelectorAll('details').forEach(part => part.open = true)")
    yield chromium
    assert [entry for entry in chromium.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")] == []


def emulate(driver, width, scheme):
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)


def trials(driver):
    """The last table of the page, of all trials."""
    return driver.find_elements("css selector", "table.sortable")[-1]


def button(driver, heading):
    return next(b for b in trials(driver).find_elements("css selector", "thead button") if b.text.startswith(heading))


def losses(driver):
    """The losses in the order of the table's rows."""
    headings = [b.text.split("\u00a0")[0] for b in trials(driver).find_elements("css selector", "thead button")]
    script = "return [...arguments[0].tBodies[0].rows].map(row => row.cells[arguments[1]].textContent)"
    place = next(n for n, heading in enumerate(headings) if heading.startswith("test loss"))
    return driver.execute_script(script, trials(driver), place)


ASCENDING = ["2.5e-07", "0.1", "0.1", "0.2", "0.2", "0.2", "0.3", "0.3", "1230", "inf"]


@pytest.mark.slow
def test_a_click_sorts_by_numbers_up_and_then_down(opened):
    head = button(opened, "test loss").find_element("xpath", "..")
    assert head.get_attribute("aria-sort") is None
    button(opened, "test loss").click()
    assert losses(opened)[:10] == ASCENDING
    assert sorted(losses(opened)[10:]) == ["nan", "\u2013"]
    assert head.get_attribute("aria-sort") == "ascending"
    button(opened, "test loss").click()
    assert losses(opened)[:10] == ASCENDING[::-1]
    assert sorted(losses(opened)[10:]) == ["nan", "\u2013"]  # no number stands last both ways
    assert head.get_attribute("aria-sort") == "descending"
    button(opened, "status").click()
    assert head.get_attribute("aria-sort") is None


@pytest.mark.slow
def test_enter_sorts_too(opened):
    button(opened, "test loss").send_keys("\ue007")
    assert losses(opened)[:10] == ASCENDING
    button(opened, "test loss").send_keys("\ue007")
    assert losses(opened)[:10] == ASCENDING[::-1]


def test_results_fit_a_window_of_1400_pixels(chromium, sweep):
    """With all columns there are, and small losses, of which a range is long: it goes below the median, whole."""
    for trial in (sweep / "trials").iterdir():
        run = RunFolder(trial)
        small = {"loss": 1.43e-4 * (1 + int(trial.name[-1])), "accuracy": 0.123 + 0.1 * int(trial.name[-1])}
        half_life = {"initial": 10.5 + int(trial.name[-1]), "final": 1230.0 - int(trial.name[-1])}
        run.finish(run.result() | {"metrics": {"test": small}, "parameters": 12993, "half_life": half_life})
    emulate(chromium, 1400, "light")
    (sweep / "report.html").write_text(page.render(open_sweep(sweep), summary(open_sweep(sweep)), []))
    chromium.get((sweep / "report.html").as_uri())
    box = chromium.find_element("css selector", "#results .scroll")
    assert chromium.execute_script("return arguments[0].scrollWidth <= arguments[0].clientWidth", box)
    lines = [span.rect["height"] for span in box.find_elements("css selector", "td.range span")]
    assert lines
    assert max(lines) < 1.5 * min(lines)


def test_a_phone_scrolls_tables_and_not_the_page(opened):
    emulate(opened, 390, "light")
    assert opened.execute_script("return document.documentElement.scrollWidth <= innerWidth && innerWidth <= 390")
    assert opened.execute_script("return document.body.scrollWidth <= innerWidth")
    box = trials(opened).find_element("xpath", "..")
    assert opened.execute_script("return arguments[0].scrollWidth > arguments[0].clientWidth", box)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_the_paper(opened, scheme):
    emulate(opened, 1280, scheme)
    paper = luminance(opened, "body", "background-color")
    assert (paper > 0.5) == (scheme == "light")
    for words in ("body", "figcaption", "dt", "caption", "summary", "thead button"):
        lighter, darker = sorted((paper, luminance(opened, words, "color")), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, words


def luminance(driver, selector, what):
    """Relative luminance of a colour, as the Web Content Accessibility Guidelines define it."""
    colour = driver.find_element("css selector", selector).value_of_css_property(what)
    rgb = [int(part) / 255 for part in colour.strip("rgba()").split(",")[:3]]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_closed_parts_open_and_every_figure_is_there(opened):
    opened.refresh()
    part = opened.find_elements("css selector", "#trials details")[0]
    assert part.get_attribute("open") is None
    part.find_element("css selector", "summary").click()
    assert trials(opened).is_displayed()
    drawn = "return [...document.images].map(image => image.complete && image.naturalWidth > 100)"
    shown = opened.execute_script(drawn)
    assert shown
    assert all(shown)


def test_the_page_reads_whole_without_its_script(opened):
    opened.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        opened.refresh()
        headings = opened.find_elements("css selector", "#results thead th")
        assert [head.text for head in headings][:2] == ["cell", "length"]
    finally:
        opened.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


@pytest.mark.slow
def test_a_look_inside_a_run(chromium, tmp_path):
    """Shaded text wraps in its own box, and nothing is wider than a phone."""
    curve = {name: [0.0, -1.0] for name in ("low", "median", "high")}
    unit = {"property": "space", "unit": "h[0]", "score": 0.5, "activation": [0.0, 1.0] * 60, "value": [0.0] * 120}
    record = {
        "run": {"cell": "rnn(hidden_dim=2)", "task": "text()", "step": 3},
        "input": {"source": "given", "steps": 120, "examples": 1, "loss": 1.0},
        "units": {"text": "a<" * 60, "found": [unit]},
        "connectivity": {"predictions": [1, 2], "first": 0, "shares": [[1.0, 0.0], [0.1, 1.0]]},
        "gates": {"gates": {}},
        "eigenvalues": {"steps": [], "kernel": {}, "jacobian": []},
        "flow": {"curves": {"all": curve}, "half_life": {"all": {"steps": 1.0}}},
        "fixed_points": {"left_out": "there are <too> many"},
    }
    write_json(tmp_path / "inspection.json", record)
    inspect_page.write(tmp_path)
    emulate(chromium, 360, "dark")
    chromium.get((tmp_path / "inspect.html").as_uri())
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= 360
    shaded = chromium.find_element("css selector", "p.shaded")
    assert shaded.text.replace("\n", "") == "a<" * 60
    colours = {span.value_of_css_property("background-color") for span in shaded.find_elements("css selector", "span")}
    assert colours == {"rgba(0, 114, 178, 0.75)", "rgba(213, 94, 0, 0.75)"}
    assert "there are <too> many" in chromium.find_element("css selector", "#dynamics").text
    assert [entry for entry in chromium.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")] == []
