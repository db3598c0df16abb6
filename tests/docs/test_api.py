"""The API reference has every public name, and each says what it takes and what it returns."""

import importlib
import inspect
import re

import pytest
from pasted import ROOT

from rnngen.cells import CELLS, INITIALIZERS
from rnngen.datasets import CODECS, TASKS
from rnngen.diagnostics import DIAGNOSES
from rnngen.engines import ENGINES
from rnngen.heads import HEADS
from rnngen.models.block import BLOCKS
from rnngen.models.controls import CONTROLS
from rnngen.models.vrnn import LATENTS
from rnngen.rules import RULES
from rnngen.storage.trackers import TRACKERS
from rnngen.sweep.executors import EXECUTORS
from rnngen.training import OPTIMIZERS, REGULARIZERS, SCHEDULES

PAGES = "\n".join(page.read_text() for page in (ROOT / "docs" / "reference" / "api").glob("*.rst"))
PACKAGES = ["rnngen", *(f"rnngen.{init.parent.name}" for init in sorted((ROOT / "rnngen").glob("*/__init__.py")))]
TABLES = [CELLS, INITIALIZERS, TASKS, CODECS, DIAGNOSES, ENGINES, HEADS, LATENTS, OPTIMIZERS, SCHEDULES, REGULARIZERS]
TABLES += [BLOCKS, CONTROLS, EXECUTORS, RULES, TRACKERS]
PUBLIC = {
    f"{package}.{name}": getattr(importlib.import_module(package), name)
    for package in PACKAGES
    for name in getattr(importlib.import_module(package), "__all__", ())
}
FACTORIES = {f"{factory.__module__}.{factory.__name__}": factory for table in TABLES for factory in table.values()}
FUNCTIONS = {name: found for name, found in (PUBLIC | FACTORIES).items() if inspect.isfunction(found)}
CLASSES = {name: found for name, found in PUBLIC.items() if inspect.isclass(found)}


def section(doc, name):
    found = re.search(rf"^{name}:\n((?:[ ]+.*\n?|\n)+)", doc or "", re.M)
    return found[1] if found else ""


def entries(text):
    """The names that a section describes: `a, b: what they are`."""
    lines = (re.match(r"  (\*{0,2}\w+(?:, \*{0,2}\w+)*):", line) for line in text.splitlines())
    return {name.strip(" *") for line in lines if line for name in line[1].split(",")}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_says_what_it_takes_and_returns(name):
    doc, signature = inspect.getdoc(FUNCTIONS[name]), inspect.signature(FUNCTIONS[name])
    assert set(signature.parameters) - entries(section(doc, "Args")) == set()
    assert section(doc, "Returns") or signature.return_annotation in (None, "None")


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_says_what_its_fields_are(name):
    fields = getattr(CLASSES[name], "_fields", None) or inspect.get_annotations(CLASSES[name])
    flax = {"name", "parent"} if name.endswith("LinenCell") else set()  # fields of every linen module
    assert set(fields) - flax - entries(section(inspect.getdoc(CLASSES[name]), "Attributes")) == set()


@pytest.mark.parametrize("package", sorted({name.rpartition(".")[0] for name in PUBLIC}))
def test_every_package_has_a_page(package):
    assert re.search(rf"^.. automodule:: {package}$", PAGES, re.M)


@pytest.mark.parametrize("name", [name for name, found in PUBLIC.items() if name.rpartition(".")[2].isupper()])
def test_every_table_has_an_entry(name):
    package, _, table = name.rpartition(".")
    assert re.search(rf"^.. currentmodule:: {package}$(?:.*\n)*?.. py:data:: {table}$", PAGES, re.M)
