"""The page as a reader has it: in Chromium, from disk, sorted by mouse and keyboard, on a phone, in the dark."""

import base64
import io
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from rnngen.plotting import style
from rnngen.report import inspect_page, page, summary
from rnngen.report.effects import axis_effects
from rnngen.runs import open_sweep
from rnngen.storage.folder import RunFolder
from rnngen.storage.jsonl import dumps, read_json, write_json

pytest_plugins = ["chromium", "handmade_sweep"]

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

FLAGS = ("--disable-background-networking", "--disable-component-update", "--disable-sync")


@pytest.fixture
def opened(chromium, sweep):
    """The browser with the page of a sweep in which a loss is infinite, one no number and one very small."""
    for trial, loss in (("rnn200", np.nan), ("rnn201", np.inf), ("rnn202", 2.5e-7), ("lstm200", 1234.5)):
        run = RunFolder(sweep / "trials" / trial)
        run.finish(run.result() | {"metrics": {"test": {"loss": loss}}})
    drawn = [effects(sweep)]
    (sweep / "trials" / "lstm200" / "samples").mkdir()
    for name, file in (("wide.png", sweep / "effects.png"), ("long.txt", sweep / "sweep.json")):
        shutil.copy(file, sweep / "trials" / "lstm200" / "samples" / name)
    show(chromium, sweep, figures=drawn)
    chromium.execute_script("document.querySelectorAll('details').forEach(part => part.open = true)")
    yield chromium
    assert [entry for entry in chromium.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")] == []


def effects(sweep):
    """A drawn figure of the sweep."""
    figure = axis_effects(open_sweep(sweep))
    return page.Drawn("axis_effects", axis_effects.caption, style.save(figure, sweep / "effects"))


def emulate(driver, width, scheme):
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)


def show(driver, sweep, width=1280, scheme="light", figures=()):
    """Open the page of a sweep."""
    emulate(driver, width, scheme)
    (sweep / "report.html").write_text(page.render(open_sweep(sweep), summary(open_sweep(sweep)), figures))
    driver.get((sweep / "report.html").as_uri())


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
    show(chromium, sweep, 1400)
    box = chromium.find_element("css selector", "#results .scroll")
    assert chromium.execute_script("return arguments[0].scrollWidth <= arguments[0].clientWidth", box)
    lines = [span.rect["height"] for span in box.find_elements("css selector", "td.range span")]
    assert lines
    assert max(lines) < 1.5 * min(lines)


@pytest.mark.parametrize("width", [1400, 1000, 390])
def test_a_wide_table_scrolls_in_its_frame_and_the_page_does_not(chromium, sweep, width):
    """Ten more metrics than there is room for."""
    for trial in (sweep / "trials").iterdir():
        run = RunFolder(trial)
        metrics = {f"metric_of_number_{n}": 1.43e-4 * (1 + int(trial.name[-1])) for n in range(12)}
        run.finish(run.result() | {"metrics": {"test": {"loss": 0.1} | metrics}})
    show(chromium, sweep, width)
    assert chromium.execute_script("return document.documentElement.scrollWidth <= innerWidth && innerWidth") == width
    box = chromium.find_element("css selector", "#results .scroll")
    right = "const box = arguments[0].getBoundingClientRect(); return box.right <= document.documentElement.clientWidth"
    assert chromium.execute_script(right, box)
    assert chromium.execute_script("return arguments[0].scrollWidth > arguments[0].clientWidth", box)
    chromium.execute_script("arguments[0].scrollLeft = 1e6", box)
    last = box.find_elements("css selector", "thead th")[-1]
    assert last.rect["x"] + last.rect["width"] <= width


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
    figure = Image.open(io.BytesIO(opened.find_element("css selector", ".drawn").screenshot_as_png)).convert("L")
    ground, ink = figure.getpixel((5, 5)), figure.getextrema()[0 if scheme == "light" else 1]
    assert (ground < 50, ink > 200) == ((scheme == "dark"),) * 2


def luminance(driver, selector, what):
    """Relative luminance of a colour, as the Web Content Accessibility Guidelines define it."""
    drawn = """
      const one = Object.assign(document.createElement("canvas").getContext("2d"), {fillStyle: arguments[0]});
      one.fillRect(0, 0, 1, 1);
      return [...one.getImageData(0, 0, 1, 1).data].slice(0, 3);
    """
    colour = driver.find_element("css selector", selector).value_of_css_property(what)
    rgb = [part / 255 for part in driver.execute_script(drawn, colour)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


CURVES = ".lines path"


def said(driver):
    return driver.find_element("css selector", ".said").text


def hover(driver, x, y):
    """Point at a place of the plot, in parts of its width and height."""
    plot = driver.find_element("css selector", ".plot svg")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", plot)
    aside = int((x - 0.5) * plot.rect["width"]), int((y - 0.5) * plot.rect["height"])
    webdriver.ActionChains(driver).move_to_element_with_offset(plot, *aside).perform()


def values(driver):
    """What each curve ends at, by the names that its arrows say."""
    plot, found = driver.find_element("css selector", ".plot"), []
    plot.send_keys("\ue014")  # right
    for _ in driver.find_elements("css selector", CURVES):
        found.append(said(driver))
        plot.send_keys("\ue015")  # down
    return found


def test_a_curve_tells_its_trial_and_is_switched_off(chromium, sweep):
    run = RunFolder(sweep / "trials" / "rnn202")
    run.append("metrics", {"step": 200, "split": "valid", "loss": 40.0})
    show(chromium, sweep)
    assert len(chromium.find_elements("css selector", CURVES)) == 12
    # It alone goes on to a step of 200, and nothing is as high.
    hover(chromium, 0.97, 0.1)
    assert said(chromium) == "valid loss 40 at step 200 \u00b7 cell rnn, length 20, seed 2 \u00b7 trial rnn202"
    marked = chromium.find_elements("css selector", ".lines path.on")
    assert len(marked) == 1
    for name, left in (("rnn", 6), ("40", 3), ("0", 2)):
        next(b for b in chromium.find_elements("css selector", ".axes button") if b.text == name).click()
        assert len(chromium.find_elements("css selector", CURVES)) == left
    assert [text.split(" \u00b7 ")[1:] for text in values(chromium)] == [
        ["cell lstm, length 20, seed 1", "trial lstm201"],
        ["cell lstm, length 20, seed 2", "trial lstm202"],
    ]
    assert values(chromium)[0].startswith("valid loss 0.2 at step 100")
    button = next(b for b in chromium.find_elements("css selector", ".axes button") if b.text == "rnn")
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    assert len(chromium.find_elements("css selector", CURVES)) == 4
    assert [entry for entry in chromium.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")] == []


@pytest.mark.slow
def test_curves_are_of_any_metric_on_either_scale(chromium, sweep):
    for trial in (sweep / "trials").iterdir():
        for step in (50, 100):
            row = {"step": step, "split": "train", "loss": 0.11 - step / 1000}
            RunFolder(trial).append("metrics", row)
    show(chromium, sweep, 390, "dark")
    metric = chromium.find_element("css selector", "select")
    assert [option.text for option in metric.find_elements("css selector", "option")] == ["valid loss", "train loss"]
    metric.find_elements("css selector", "option")[1].click()
    log = chromium.find_element("css selector", "[data-part='log']")
    middle = "return [...document.querySelectorAll('.plot text')].map(text => text.textContent)"
    assert log.get_attribute("aria-pressed") == "true"  # 0.06 is more than five times 0.01
    log.click()
    assert {"0.02", "0.04"} <= set(chromium.execute_script(middle))
    log.click()
    assert "0.05" not in chromium.execute_script(middle)
    paths = chromium.execute_script("return [...document.querySelectorAll('.lines path')].map(p => p.getBBox().height)")
    assert len(paths) == 12
    assert min(paths) > 50
    assert (luminance(chromium, CURVES, "stroke") + 0.05) / (luminance(chromium, "body", "background-color") + 0.05) > 3


@pytest.mark.slow
def test_a_thousand_trials_are_fast_and_small(chromium, tmp_path):
    write_thousand(tmp_path)
    show(chromium, tmp_path)
    assert len(chromium.find_elements("css selector", CURVES)) == 1000
    size = chromium.execute_script("return document.querySelector('script.curves').textContent.length")
    assert size < 400_000
    hovering = """
      const plot = document.querySelector(".plot"), box = plot.firstChild.getBoundingClientRect();
      const from = performance.now();
      for (let n = 0; n < 20; n++)
        plot.dispatchEvent(new PointerEvent("pointermove", {clientX: box.left + 100 + 20 * n, clientY: box.top + 150}));
      return [(performance.now() - from) / 20, document.querySelectorAll(".lines path.on").length];
    """
    milliseconds, marked = chromium.execute_script(hovering)
    assert marked == 1
    assert milliseconds < 30


def write_thousand(folder):
    """A sweep of a thousand trials, each evaluated forty times."""
    ids = [f"t{number:03d}" for number in range(1000)]
    rows = [{"step": 100 * n, "split": "valid", "loss": 1 / (n + 1)} for n in range(40)]
    lines = "".join(dumps(row) + "\n" for row in rows)
    for name in ids:
        (folder / "trials" / name).mkdir(parents=True)
        (folder / "trials" / name / "metrics.jsonl").write_text(lines)
    write_json(
        folder / "sweep.json", {"config": {}, "trials": [{"id": n, "overrides": {"seed": int(n[1:])}} for n in ids]}
    )


def test_on_paper_nothing_is_cut(chromium, sweep):
    """A wide table is on pages of its own, broad ones; what cannot be used on paper is left out."""
    for trial in (sweep / "trials").iterdir():
        run = RunFolder(trial)
        metrics = {f"metric_{n}": 1.43e-4 * (1 + int(trial.name[-1])) for n in range(12)}
        run.finish(run.result() | {"metrics": {"test": {"loss": 0.1} | metrics}})
    write_json(sweep / "sweep.json", read_json(sweep / "sweep.json") | {"config": {"dtype": "float32"}})
    show(chromium, sweep, scheme="dark", figures=[effects(sweep)])
    pdf = base64.b64decode(chromium.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    broad = [width > height for width, height in re.findall(rb"/MediaBox \[0 0 (\d+)[.\d]* (\d+)", pdf)]
    assert broad.count(True) >= 1
    assert broad.count(False) >= 2
    # As a browser lays out a broad page of A4 without its margins.
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    size = {"width": int(273 / 25.4 * 96), "height": 700, "deviceScaleFactor": 1, "mobile": False}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert luminance(chromium, "body", "background-color") == 1
    boxes = chromium.find_elements("css selector", ".scroll")
    shown = [box for box in boxes if box.is_displayed()]
    assert len(shown) >= 2
    for box in shown:
        assert chromium.execute_script("return arguments[0].scrollWidth <= arguments[0].clientWidth + 1", box)
        assert chromium.execute_script("return arguments[0].scrollHeight <= arguments[0].clientHeight + 1", box)
    assert chromium.find_element("css selector", "#curves .plot").is_displayed()  # since no figure shows them
    assert not any(part.is_displayed() for part in chromium.find_elements("css selector", ".controls, #trials"))
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


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
