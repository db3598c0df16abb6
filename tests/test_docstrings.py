"""Every public name says what it is."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent / "rnngen"


def undocumented(path):
    """Public modules, classes, functions and methods without a docstring; not what is within a function."""
    tree = ast.parse(path.read_text())
    found = [] if ast.get_docstring(tree) or (path.name == "__init__.py" and not tree.body) else [str(path)]
    stack = [(path.name, node) for node in tree.body]
    while stack:
        where, node = stack.pop()
        if not isinstance(node, ast.ClassDef | ast.FunctionDef) or node.name.startswith("_"):
            continue
        name = f"{where}:{node.name}"
        found += [] if ast.get_docstring(node) else [name]
        if isinstance(node, ast.ClassDef):
            stack += [(name, inside) for inside in node.body]
    return found


def test_every_public_name_has_a_docstring():
    assert [name for path in sorted(ROOT.rglob("*.py")) for name in undocumented(path)] == []
