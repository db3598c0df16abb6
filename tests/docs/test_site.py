"""The built docs as a reader has them: in Chromium, from a folder, without a network, on a phone too."""

import inspect
import re
import urllib.parse

import pytest
from pasted import ROOT
from questions import QUESTIONS
from test_api import FACTORIES, PUBLIC

pytest_plugins = ["chromium"]

wait = pytest.importorskip("selenium.webdriver.support.wait", reason="selenium is not installed")

SITE = ROOT / "build" / "site"
pytestmark = [
    pytest.mark.skipif(not (SITE / "objects.inv").exists(), reason="scripts/docs has not built the docs"),
    pytest.mark.slow,
]
FLAGS = ("--hide-scrollbars",)
PLACE = 3  # of the answer among the results, at most: it is seen without scrolling
# One of each kind, and those with the widest tables, equations and blocks of code.
SHOWN = [
    *("docs/index", "docs/getting_started", "docs/tutorials/own_cell", "docs/tutorials/sweep", "docs/how_to/index"),
    *("docs/how_to/own_arrays", "docs/concepts/horizon", "docs/reference/config", "docs/reference/cells"),
    *("docs/reference/api/rnngen", "docs/reference/api/cells", "docs/benchmarks", "docs/recovery", "CONTRIBUTING"),
    *("experiments/README", "experiments/zoo/README", "experiments/bai2018_table1/README"),
]


@pytest.fixture
def browser(chromium):
    """Chromium, which at the end has said nothing, and has asked nothing but files for anything."""
    resize(chromium, 1400)
    yield chromium
    assert [entry for entry in chromium.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")] == []


def resize(driver, width, scheme="light"):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)


def found(driver, question):
    """The pages that the search finds for a question, in order."""
    driver.get(f"{(SITE / 'search.html').as_uri()}?q={urllib.parse.quote_plus(question)}")
    done = "return /finished|did not match/.test(document.querySelector('p.search-summary')?.innerText)"
    wait.WebDriverWait(driver, 20).until(lambda d: d.execute_script(done))
    return driver.find_elements("css selector", "ul.search li a")


def test_twenty_questions_are_answered_in_two_clicks(browser):
    answered = {}
    for question, page in QUESTIONS.items():
        results = found(browser, question)[:PLACE]
        answer = next((a for a in results if f"docs/{page}.html" in a.get_attribute("href")), None)
        if answer is not None:
            answer.click()
            answered[question] = f"docs/{page}.html" in browser.current_url
    assert len(QUESTIONS) == 20
    assert [question for question in QUESTIONS if not answered.get(question)] == []


def test_a_result_has_the_first_line_of_its_page(browser):
    found(browser, "resume")
    shown = browser.find_element("css selector", "ul.search li").text
    assert shown.startswith("Resume a run that was stopped")
    assert "Give the same command again" in shown


@pytest.mark.parametrize("width", [1400, 390])
def test_no_page_scrolls_sideways_or_asks_the_network(browser, width):
    resize(browser, width)
    for page in (*SHOWN, "search", "genindex"):
        browser.get((SITE / f"{page}.html").as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width, page
        asked = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
        assert [address for address in asked if not address.startswith(("file:", "data:"))] == [], page


def test_figures_are_there_and_equations_are_drawn(browser):
    browser.get((SITE / "docs" / "concepts" / "horizon.html").as_uri())
    sizes = browser.execute_script(
        "return [...document.querySelectorAll('math')].map(m => m.getBoundingClientRect().height)"
    )
    assert min(sizes) > 5
    for page in ("docs/index", "docs/tutorials/own_cell", "experiments/zoo/README"):
        browser.get((SITE / f"{page}.html").as_uri())
        drawn = "return [...document.querySelectorAll('article img')].map(image => image.naturalWidth)"
        assert min(browser.execute_script(drawn)) > 100, page


def test_nothing_comes_from_elsewhere():
    """No page names a script, a style, a font or an image of another host."""
    outside = re.compile(
        r"<(?:script|img|iframe)[^>]+src=\"(?:https?:)?//|<link[^>]+stylesheet[^>]+href=\"(?:https?:)?//"
    )
    for page in SITE.rglob("*.html"):
        assert not outside.search(page.read_text()), page
    for style in SITE.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//|@import", style.read_text()), style


def test_every_public_name_has_an_entry():
    from sphinx.util.inventory import InventoryFile

    there = InventoryFile.loads((SITE / "objects.inv").read_bytes(), uri="").data
    names = {name for kind, of in there.items() if kind.startswith("py:") for name in of}
    wanted = [name for name, found in PUBLIC.items() if not inspect.ismodule(found) and name != "rnngen.__version__"]
    wanted += [name for name, factory in FACTORIES.items() if factory not in list(PUBLIC.values())]
    assert [name for name in wanted if name not in names] == []
