"""Experiment files: gin fills in dataclasses here, at the edge; nothing below knows of it."""

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import get_args, get_type_hints

from electra_tf.errors import ConfigError


def gin_folders() -> list[Path]:
    """Where the installed files are, or those of a checkout."""
    package = Path(__file__).resolve().parents[1]
    return [folder for folder in (package / "gin", package.parent / "gin") if folder.is_dir()]


def find_gin_file(name: str) -> Path:
    """A path as it stands, or a file of ours by its name, such as `electra_tiny` or `models/electra_base.gin`."""
    if Path(name).is_file():
        return Path(name)
    wanted = name if name.endswith(".gin") else f"{name}.gin"
    for folder in gin_folders():
        for candidate in (folder / wanted, folder / "pretrain" / wanted):
            if candidate.is_file():
                return candidate
    known = sorted({path.stem for folder in gin_folders() for path in (folder / "pretrain").glob("*.gin")})
    raise ConfigError(
        f"there is no gin file {name!r}", expected=f"a path, or one of {', '.join(known)}", where="--gin_file"
    )


def configured(classes: Sequence[type], files: Sequence[str], params: Sequence[str]) -> tuple[list, str]:
    """An instance of each dataclass, with the fields that files and parameters bind.

    Args:
        classes: dataclasses, known to gin by their names.
        files: paths or names; later ones override earlier ones. params: `Class.field = value`, override files.

    Returns: the instances, and every field of them as gin text, which by itself gives the same instances again.

    Raises: `ConfigError` for a missing file, a syntax error, an unknown name, and a binding that nothing uses.
    """
    import gin

    paths = [str(find_gin_file(name)) for name in files]
    where = ", ".join([*paths, *params]) or "gin"
    gin.clear_config()
    # Gin also looks for included files in Python packages, and stumbles over any folder that has the name of ours.
    gin.config._FILE_READERS[:] = [(open, os.path.isfile)]
    for folder in gin_folders():
        if folder not in _known:
            gin.add_config_file_search_path(str(folder))
    for cls in classes:
        if cls not in _known:
            gin.register(cls, module="electra_tf")
    _known.update(classes, gin_folders())
    # Gin reports every place where an included file is not, before it finds it.
    logging.disable(logging.ERROR)
    try:
        gin.parse_config_files_and_bindings(paths, list(params), skip_unknown=False, finalize_config=False)
        bindings = {cls: gin.get_bindings(cls.__name__) for cls in classes}
    except (ValueError, SyntaxError, TypeError, AttributeError, OSError) as error:
        raise ConfigError(
            f"the gin configuration cannot be used: {' '.join(str(error).split())}",
            where=where,
            expected="bindings such as Recipe.steps = 1000, of fields that exist",
        ) from error
    finally:
        logging.disable(logging.NOTSET)
    text = gin.config_str(max_line_length=10_000)
    used = {cls.__name__ for cls in classes}
    bound = re.findall(r"^([\w./]+) = ", text, re.MULTILINE)
    unused = [name for name in bound if name.rpartition(".")[0] not in used and f"%{name}" not in text]
    if unused:
        raise ConfigError(f"nothing uses {', '.join(unused)}", where=where, remedy="remove it, or correct its name")
    for cls, fields in bindings.items():
        _check_types(cls, fields, where)
    instances = [cls(**fields) for cls, fields in bindings.items()]
    return instances, _as_gin(instances)


_known = set()  # what gin, which keeps it for the life of the process, has been told of


def _check_types(cls, fields, where):
    kinds = get_type_hints(cls)
    for name, value in fields.items():
        kind = kinds[name]
        whole = type(value) is int and isinstance(0.5, kind)  # where a float is wanted
        if type(value) not in (kind, *get_args(kind)) and not whole:
            expected = getattr(kind, "__name__", kind)
            raise ConfigError(f"{cls.__name__}.{name} is {value!r}", where=where, expected=f"type {expected}")


def _as_gin(instances) -> str:
    lines = []
    for instance in instances:
        name = type(instance).__name__
        lines += [f"{name}.{field} = {value!r}" for field, value in vars(instance).items()]
    return "\n".join(lines) + "\n"
