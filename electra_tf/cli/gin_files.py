"""Experiment files: gin fills in dataclasses here, at the edge; nothing below knows of it."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path

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
    for cls in classes:
        if cls not in _registered:
            gin.register(cls, module="electra_tf")
            _registered.add(cls)
    for folder in gin_folders():
        gin.add_config_file_search_path(str(folder))
    logging.disable(
        logging.ERROR
    )  # gin reports every place where an included file is not, before it finds it
    try:
        gin.parse_config_files_and_bindings(paths, list(params), skip_unknown=False, finalize_config=False)
        instances = [cls(**gin.get_bindings(cls.__name__)) for cls in classes]
    except (ValueError, SyntaxError, TypeError, AttributeError, OSError) as error:
        raise ConfigError(
            f"the gin configuration cannot be used: {' '.join(str(error).split())}",
            where=where,
            expected="bindings such as Recipe.steps = 1000, of fields that exist",
        ) from error
    finally:
        logging.disable(logging.NOTSET)
    text = gin.config_str(max_line_length=10_000)
    macros = re.findall(r"^(\w+) = ", text, re.MULTILINE)
    unused = [name for name in macros if f"%{name}" not in text]
    if unused:
        raise ConfigError(
            f"nothing uses {', '.join(unused)}", where=where, remedy="remove it, or correct its name"
        )
    return instances, _as_gin(instances)


_registered = set()


def _as_gin(instances) -> str:
    lines = []
    for instance in instances:
        name = type(instance).__name__
        lines += [f"{name}.{field} = {value!r}" for field, value in vars(instance).items()]
    return "\n".join(lines) + "\n"
