"""What importing costs, and that imports go one way."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import electra_tf

PACKAGE = Path(electra_tf.__file__).parent
HEAVY = ("tensorflow", "keras", "transformers", "orbit", "tensorflow_text", "gin", "torch", "jax", "tf_keras")

# A package imports only from packages of lower rank, and from itself.
RANK = {
    "layers": 0,
    "models": 1,
    "text": 2,
    "conversion": 3,
    "optimizers": 4,
    "data": 4,
    "pretraining": 5,
    "training": 6,
    "finetuning": 7,
    "cli": 8,
}
EXCEPTION = ("models/encoder.py", "conversion")  # Encoder.from_pretrained, inside its body


def modules_loaded(code):
    """The heavy modules that are loaded after `code` ran in a fresh process."""
    code += f"\nimport sys, json; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def imports_of(path):
    """(name of the package imported, whether inside a function) for every import of ours in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(node) for function in ast.walk(tree) if isinstance(function, ast.FunctionDef) for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "electra_tf" and len(parts) > 1:
                yield parts[1], id(node) in inside


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)


def test_the_rank_of_every_package_is_known():
    assert {path.relative_to(PACKAGE).parts[0] for path in FILES} <= RANK.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    name = path.relative_to(PACKAGE).as_posix()
    package = name.split("/")[0]
    for imported, inside in imports_of(path):
        if imported not in RANK or imported == package or (inside and (name, imported) == EXCEPTION):
            continue
        assert RANK[imported] < RANK[package], f"{package} imports {imported}"


def test_the_exception_is_still_one():
    assert ("conversion", True) in set(imports_of(PACKAGE / EXCEPTION[0]))


def test_importing_the_library_loads_nothing_heavy():
    assert modules_loaded("import electra_tf; dir(electra_tf)") == []


def test_importing_commands_data_and_text_loads_nothing_heavy():
    commands = sorted(path.stem for path in (PACKAGE / "cli").glob("*.py") if path.stem != "__init__")
    light = [f"electra_tf.cli.{name}" for name in commands]
    light += [f"electra_tf.{path.parent.name}.{path.stem}" for path in FILES if path.parent.name in ("data", "text")]
    assert modules_loaded("\n".join(f"import {name}" for name in light)) == []


@pytest.mark.parametrize("name", electra_tf.__all__)
def test_every_public_name_is_there(name):
    assert getattr(electra_tf, name) is not None
    assert name in dir(electra_tf)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        electra_tf.nothing  # noqa: B018
