"""The house: a lower floor never imports a higher one, and a few libraries are imported in one place only."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent / "rnngen"
FLOORS = [
    {"types", "registry", "runtime", "storage", "plotting"},
    {"cells", "heads"},
    {"engines", "adapters"},
    {"models", "tasks"},
    {"datasets"},
    {"rules"},
    {"diagnostics"},
    {"training", "testing"},
    {"config"},
    {"runs"},
    {"generation", "sweep"},
    {"report"},
    {"cli"},
    {"__main__"},
]
FLOOR_OF = {name: number for number, floor in enumerate(FLOORS) for name in floor}


@functools.cache
def imports(path):
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names if node.module == "rnngen")]
    return found


def part(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def sources():
    return [path for path in ROOT.rglob("*.py") if path.name != "__init__.py" or path.parent != ROOT]


def ours(path):
    names = (name.split(".") for name in imports(path))
    return {name[1] for name in names if name[0] == "rnngen" and len(name) > 1}


def test_no_floor_imports_a_higher_one():
    for path in sources():
        allowed = {name for name, floor in FLOOR_OF.items() if floor <= FLOOR_OF[part(path)]}
        assert ours(path) <= allowed, f"{path} imports {ours(path) - allowed}"


def test_the_top_level_holds_the_rooms_of_the_design_and_no_others():
    rooms = {path.name.removesuffix(".py") for path in ROOT.iterdir() if path.suffix in ("", ".py")}
    # Links to folders of the repository, so that the wheel carries them.
    links = {path.name for path in ROOT.iterdir() if path.is_symlink()}
    assert links == {"configs", "docs"}
    assert all((ROOT / name).samefile(ROOT.parent / name) for name in links)
    assert rooms - {"__init__", "__pycache__"} - links == set(FLOOR_OF)


def test_records_are_kept_and_read_without_jax():
    assert all(ours(path) <= {"storage", "registry"} for path in sources() if part(path) == "storage")
    above = {"cli", "sweep", "generation", "config", "training", "models"}
    assert not any(ours(path) & above for path in sources() if part(path) == "report")
    look = "import sys, rnngen.runs.sweep; sys.exit('jax' in sys.modules or 'flax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look]).returncode == 0


def test_orbax_flax_and_config_dicts_stay_where_they_belong():
    homes = {
        "orbax": {"training"},
        "flax": {"models", "adapters"},
        "ml_collections": {"config", "runs", "sweep", "cli"},
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
