"""The house: a lower floor never imports a higher one, and a few libraries are imported in one place only."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent / "rnngen"
FLOORS = [
    {"types", "lookup", "jsonfiles", "provenance", "records", "process", "sinks", "locks", "stopping"},
    {"cells"},
    {"engines"},
    {"heads", "data", "adapters"},
    {"media"},
    {"tasks", "layers", "ends", "models", "latent"},
    {"diagnostics", "generation", "testing"},
    {"train"},
    {"configcheck", "configdefaults", "configkeys", "config"},
    {"run", "making", "inspecting"},
    {"sweep"},
    {"cli", "cli_bar", "cli_options", "cli_check", "cli_inspect", "cli_list", "cli_sample", "doctor"},
    {"__main__"},
]
FLOOR_OF = {name: number for number, floor in enumerate(FLOORS) for name in floor}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "rnngen")


def part(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def sources():
    return [path for path in ROOT.rglob("*.py") if path.name != "__init__.py" or path.parent != ROOT]


def ours(path):
    names = (name.split(".") for name in imports(path))
    return {name[1] for name in names if name[0] == "rnngen" and len(name) > 1}


def test_no_floor_imports_a_higher_one():
    for path in sources():
        if part(path) == "report":
            assert ours(path) <= {"jsonfiles", "records", "report"}, path
            continue
        allowed = {name for name, floor in FLOOR_OF.items() if floor <= FLOOR_OF[part(path)]}
        higher = ours(path) - allowed
        # A sweep's words are used in config files, a report only by the command line.
        assert not higher or (part(path) in ("cli", "cli_inspect") and higher == {"report"}), f"{path} imports {higher}"


def test_records_import_nothing_of_ours_but_how_files_are_written():
    assert ours(ROOT / "records.py") == {"jsonfiles", "provenance"}
    assert not ours(ROOT / "jsonfiles.py")
    assert not ours(ROOT / "provenance.py")


def test_orbax_flax_and_config_dicts_stay_where_they_belong():
    homes = {
        "orbax": {"train"},
        "flax": {"ends", "adapters"},
        "ml_collections": {"config", "configdefaults", "sweep", "cli", "cli_options"},
    }
    for path in sources():
        for name in imports(path):
            package = (name or "").split(".")[0]
            assert part(path) in homes.get(package, {part(path)}), f"{path} imports {package}"
    alone = {"orbax.checkpoint": ["checkpoint.py"], "optuna": ["sampling.py"], "ray": [], "submitit": []}
    for name, where in alone.items():
        assert [p.name for p in sources() if name in set(imports(p))] == where


def test_cells_import_jax_and_nothing_else():
    for path in (ROOT / "cells").glob("*.py"):
        outside = {(name or "").split(".")[0] for name in imports(path)} - {
            "rnngen",
            "jax",
            "numpy",
            "typing",
            "collections",
        }
        assert not outside, f"{path} imports {outside}"
