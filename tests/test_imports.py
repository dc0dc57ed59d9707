"""What importing costs, and that imports go one way."""

import ast
import json
import subprocess
import sys
from graphlib import TopologicalSorter
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
    "checkpoints": 3,
    "optimizers": 4,
    "data": 4,
    "training": 5,
    "pretraining": 6,
    "finetuning": 6,
    "cli": 8,
}
# `from_pretrained`, which users look for on a class, calls the function that stands above it. Inside its body.
EXCEPTIONS = {("models/encoder.py", "checkpoints"), ("text/tokenizer.py", "text.load_tokenizer")}


def modules_loaded(code):
    """The heavy modules that are loaded after `code` ran in a fresh process."""
    code += f"\nimport sys, json; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def imports_of(path):
    """(dotted name of what is imported, whether inside a function) for every import of ours in a file."""
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
            if name.startswith("electra_tf."):
                yield name.removeprefix("electra_tf."), id(node) in inside


def is_exception(path, name, inside):
    file = path.relative_to(PACKAGE).as_posix()
    return inside and any(file == of and f"{name}.".startswith(f"{what}.") for of, what in EXCEPTIONS)


def module_of(name):
    """The module that `import electra_tf.NAME` runs, or that holds the name."""
    parts = name.split(".")
    while parts:
        if PACKAGE.joinpath(*parts).with_suffix(".py").is_file():
            return ".".join(parts)
        if (PACKAGE.joinpath(*parts) / "__init__.py").is_file():
            return ".".join([*parts, "__init__"])
        parts.pop()


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)


def test_the_rank_of_every_package_is_known():
    assert {path.relative_to(PACKAGE).parts[0] for path in FILES} <= RANK.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    package = path.relative_to(PACKAGE).parts[0]
    for name, inside in imports_of(path):
        imported = name.split(".")[0]
        if imported not in RANK or imported == package or is_exception(path, name, inside):
            continue
        assert RANK[imported] < RANK[package], f"{package} imports {imported}"


@pytest.mark.parametrize("package", sorted({path.relative_to(PACKAGE).parts[0] for path in FILES}))
def test_no_modules_of_a_package_import_each_other_in_a_circle(package):
    """Imports inside functions count: they hide a circle, and do not undo it."""
    modules = {}
    for path in FILES:
        if path.relative_to(PACKAGE).parts[0] == package:
            imported = {module_of(name) for name, inside in imports_of(path) if not is_exception(path, name, inside)}
            own = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
            modules[own] = {name for name in imported if name.split(".")[0] == package}
    TopologicalSorter(modules).prepare()  # raises a CycleError that names them


GROUND_FLOOR = {"errors": set(), "version": set(), "locks": set(), "seals": set(), "files": {"errors", "locks"}}


@pytest.mark.parametrize(("name", "may_import"), GROUND_FLOOR.items())
def test_the_ground_floor_stands_on_itself(name, may_import):
    assert {imported.split(".")[0] for imported, _ in imports_of(PACKAGE / f"{name}.py")} <= may_import


def test_containers_know_no_encoder_and_no_names():
    for path in (PACKAGE / "checkpoints" / "containers").glob("*.py"):
        names = [name for name, _ in imports_of(path)]
        assert [name for name in names if not name.startswith(("errors.", "files.", "checkpoints.containers."))] == []


@pytest.mark.parametrize(("file", "above"), sorted(EXCEPTIONS))
def test_each_exception_is_still_one(file, above):
    assert [name for name, inside in imports_of(PACKAGE / file) if inside and f"{name}.".startswith(f"{above}.")]


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
