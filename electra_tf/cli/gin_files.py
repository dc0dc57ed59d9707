"""Experiment files: gin fills in dataclasses here, at the edge; nothing below knows of it."""

import dataclasses
import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from electra_tf.checkpoints.run_checkpoints import to_stderr
from electra_tf.errors import ConfigError


def gin_folders() -> list[Path]:
    """Where the installed files are, or those of a checkout."""
    package = Path(__file__).resolve().parents[1]
    return [folder for folder in (package / "gin", package.parent / "gin") if folder.is_dir()]


def find_gin_file(name: str) -> Path:
    """A path as it stands, or a file of ours: a recipe by its name alone, such as `electra_tiny`, others with a folder.

    Those that reproduce a published run, such as `papers/electra_base`, never stand in for the recommended ones.
    """
    if Path(name).is_file():
        return Path(name)
    wanted = name if name.endswith(".gin") else f"{name}.gin"
    for folder in gin_folders():
        for candidate in (folder / wanted, folder / "pretrain" / wanted, folder / "finetune" / wanted):
            if candidate.is_file():
                return candidate
    recipes = {path for folder in gin_folders() for path in (folder / "pretrain").glob("*.gin")}
    papers = {path for folder in gin_folders() for path in (folder / "papers").glob("*.gin")}
    tuned = {path for folder in gin_folders() for path in (folder / "finetune").glob("*.gin")}
    known = [*sorted(path.stem for path in recipes), *sorted(f"papers/{path.stem}" for path in papers)]
    known += sorted(f"finetune/{path.stem}" for path in tuned)
    raise ConfigError(
        f"there is no gin file {name!r}", expected=f"a path, or one of {', '.join(known)}", where="--gin_file"
    )


def configured(
    first: type,
    others: Callable[[Any], Sequence[type]],
    files: Sequence[str],
    params: Sequence[str],
    usual: Sequence[str] = (),
) -> tuple[list, str]:
    """An instance of each dataclass, with the fields that files and parameters bind.

    Args:
        first: a dataclass, known to gin by its name. others: given its instance, the further classes that it chooses.
        files: paths or names; later ones override earlier ones. params: `Class.field = value`, override files.
        usual: the same, overridden by both, and without effect where their class is not chosen.

    Returns: the instances, and every field of them as gin text, which by itself gives the same instances again.

    Raises: `ConfigError` for a missing file, a syntax error, an unknown name, and a binding that nothing uses.
    """
    import gin

    paths = [str(find_gin_file(name)) for name in files]
    where = ", ".join([*paths, *params]) or "gin"
    gin.clear_config()
    # Gin also looks for included files in Python packages, and stumbles over any folder that has the name of ours.
    gin.config._FILE_READERS[:] = [(partial(open, encoding="utf-8-sig"), os.path.isfile)]
    for folder in gin_folders():
        if folder not in _known:
            gin.add_config_file_search_path(str(folder))
    known = _settings_classes()
    for cls in known:
        if cls not in _known:
            gin.register(cls, module="electra_tf")
    _known.update(known, gin_folders())
    # Gin reports every place where an included file is not, before it finds it.
    logging.disable(logging.ERROR)
    try:
        for text in (*(f"include {path!r}" for path in paths), "\n".join(params)):
            _check_is_data(text, "--gin_param")
        gin.parse_config(list(usual))
        gin.parse_config_files_and_bindings(paths, list(params), skip_unknown=False, finalize_config=False)
        bindings = {cls: gin.get_bindings(cls.__name__) for cls in known}
    except OSError as error:
        raise ConfigError(
            f"the gin configuration cannot be read: {' '.join(str(error).split())}",
            where=where,
            expected="files that are there, included ones too, and that you may read",
            remedy="correct the path, or the file's permissions",
        ) from error
    except (ValueError, SyntaxError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"the gin configuration cannot be used: {' '.join(str(error).split())}",
            where=where,
            expected="bindings such as Recipe.steps = 1000, of fields that exist",
            remedy=_home_of_field(str(error), known),
        ) from error
    finally:
        logging.disable(logging.NOTSET)
    text = gin.config_str(max_line_length=10_000)
    _check_types(first, bindings[first], where)
    recipe = first(**bindings[first])
    classes = [first, *others(recipe)]
    used = {cls.__name__ for cls in classes}
    bound = re.findall(r"^([\w./]+) = ", text, re.MULTILINE)
    optional = {param.partition(" = ")[0] for param in usual}
    unused = [name for name in bound if name.rpartition(".")[0] not in used and f"%{name}" not in text]
    unused = [name for name in unused if name not in optional]
    typed = {param.partition("=")[0].strip() for param in params}
    of_optimizers = "Recipe.optimizer" in typed and {name.partition(".")[0] for name in unused} <= {"AdamW", "Lamb"}
    if unused and of_optimizers and not typed & {*unused}:
        to_stderr(f"warning: since another optimizer was chosen, these of the files do not hold: {', '.join(unused)}")
    elif unused:
        raise ConfigError(
            f"nothing uses {', '.join(unused)}",
            where=where,
            expected=f"fields of {', '.join(cls.__name__ for cls in classes)}, which the recipe chooses",
            remedy="remove it, correct its name, or choose what it belongs to by Recipe.objective or Recipe.optimizer",
        )
    for cls in classes[1:]:
        _check_types(cls, bindings[cls], where)
    instances = [recipe, *(cls(**bindings[cls]) for cls in classes[1:])]
    return instances, _as_gin(instances)


def _check_is_data(text: str, where: str, above: Sequence[str] = ()) -> None:
    """Raises `ConfigError` unless gin text only binds values, so that a file of strangers runs nothing.

    Gin itself would import what a file names, and call what it refers to by `@`.
    """
    from gin import config_parser

    class Values(config_parser.ParserDelegate):
        def configurable_reference(self, name, evaluate):
            raise _runs(f"@{name}", where)

        def macro(self, name):
            return None

    for statement in config_parser.ConfigParser(text, Values()):
        if isinstance(statement, config_parser.ImportStatement):
            raise _runs(statement.format(), f"{where}, line {statement.location.line_num}")
        if isinstance(statement, config_parser.IncludeStatement):
            folders = ("", *gin_folders())
            found = (os.path.join(folder, statement.filename) for folder in folders)
            path = next((path for path in found if os.path.isfile(path)), None)
            if path in above:
                raise ConfigError(
                    "the file includes itself",
                    where=path,
                    expected="no file within itself",
                    remedy="take the line out that includes it",
                )
            if path is not None:  # gin says so of one that is missing
                _check_is_data(Path(path).read_text("utf-8-sig"), path, (*above, path))


def _runs(what, where):
    return ConfigError(
        f"{what} would run code",
        where=where,
        expected="values alone, such as Recipe.steps = 1000",
        remedy="write the value itself",
    )


def _settings_classes() -> list[type]:
    """Every class that a gin file may fill."""
    from electra_tf.finetuning.settings import FineTuning
    from electra_tf.optimizers import OPTIMIZERS
    from electra_tf.optimizers.schedules import Schedule
    from electra_tf.pretraining.masking import Masking
    from electra_tf.pretraining.run import OBJECTIVES
    from electra_tf.training.recipe import Recipe

    objectives = [settings for settings, *_ in OBJECTIVES.values()]
    return [Recipe, Schedule, Masking, FineTuning, *objectives, *OPTIMIZERS.values()]


# Names that fields had in version 0.1.
_RENAMED = {"learning_rate": "peak", "schedule": "kind", "lr_decay_power": "power", "end_learning_rate": "end"}


def _home_of_field(error: str, known) -> str | None:
    """Where a field that gin does not find is, for the remedy."""
    found = re.search(r"(?:parameter named|name) '?(?:\w+\.)?(\w+)'?", error)
    name = found and _RENAMED.get(found[1], found[1])
    homes = [f"{cls.__name__}.{name}" for cls in known if name in {f.name for f in dataclasses.fields(cls)}]
    return f"there is {' and '.join(homes)}" if homes else None


_known = set()  # what gin, which keeps it for the life of the process, has been told of


def _check_types(cls, fields, where):
    kinds = get_type_hints(cls)
    for name, value in fields.items():
        kind = kinds[name]
        plain = {get_origin(one) or one for one in (get_args(kind) if isinstance(kind, UnionType) else (kind,))}
        whole = type(value) is int and float in plain
        table = isinstance(value, dict) and Mapping in plain
        if type(value) not in plain and not whole and not table:
            expected = " or ".join(one.__name__ for one in plain)
            raise ConfigError(
                f"{cls.__name__}.{name} is {value!r}",
                where=where,
                expected=f"type {expected}",
                remedy="write a value of that type",
            )


def _as_gin(instances) -> str:
    lines = []
    for instance in instances:
        name = type(instance).__name__
        lines += [f"{name}.{field} = {value!r}" for field, value in vars(instance).items()]
    return "\n".join(lines) + "\n"
