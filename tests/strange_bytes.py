"""Changes that damage a file, or make it do harm, and what every command does about it: words, and nothing astray.

STRANGE_SEED sets another seed.
"""

import gzip
import io
import json
import lzma
import os
import random
import re
import time
import zipfile
from pathlib import Path

from in_process import run_command

SEED = int(os.environ.get("STRANGE_SEED", "0"))
# Values that other programs, or an attacker, put where another is expected.
VALUES = (
    None,
    True,
    -1,
    0,
    10**30,
    1e999,
    float("nan"),
    "",
    "x",
    "\x1b]0;title\x07",
    "../../x",
    [],
    {},
    [[]],
    "9" * 5000,
)
BYTES = (b"", b"\0", b"\xff\xfe", b"PK\x03\x04", b"\x1f\x8b", b"null", b"[" * 3000, b"version https://git-lfs")


def chance_of(number) -> random.Random:
    """What one input's changes are drawn from."""
    return random.Random(f"{SEED} {number}")


def strange(chance, data: bytes) -> bytes:
    """One change of a file's content; of what is packed in it, half the time."""
    if chance.random() < 0.6 and (changed := _changed_inside(chance, data)) is not None:
        return changed
    kind, at = chance.randrange(6), chance.randrange(len(data) + 1)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
    if kind == 2:
        return data[:at] + chance.choice(BYTES) + data[at:]
    if kind == 3:
        other = chance.randrange(len(data) + 1)
        return data[: min(at, other)] + data[max(at, other) :]
    if kind == 4:
        return chance.choice(BYTES)
    digits = [i for i, byte in enumerate(data[:20_000]) if chr(byte).isdigit()]
    at = chance.choice(digits or [0])
    return data[:at] + str(chance.choice((0, 9, 10**18, -7))).encode() + data[at + 1 :]


def _changed_inside(chance, data):
    """A change of what a file holds, in a container that is whole; None for bytes that hold nothing."""
    if data[:4] == b"PK\3\4":
        return _changed_zip(chance, data)
    for module, magic in ((gzip, b"\x1f\x8b"), (lzma, b"\xfd7zXZ")):
        if data.startswith(magic):
            return module.compress(strange(chance, module.decompress(data)))
    if data[8:9] == b"{" and (size := int.from_bytes(data[:8], "little")) < len(data):  # the head of safetensors
        head = changed_json(chance, json.loads(data[8 : 8 + size]))
        return len(head).to_bytes(8, "little") + head + data[8 + size :]
    if data[:1] != b"{":
        return None
    try:
        return changed_json(chance, json.loads(data))
    except ValueError:
        lines = data.split(b"\n")
    at = chance.randrange(len(lines))
    try:
        return b"\n".join([*lines[:at], changed_json(chance, json.loads(lines[at])), *lines[at + 1 :]])
    except ValueError:
        return None


def _changed_zip(chance, data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    at, packed = chance.randrange(len(members)), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number, (info, content) in enumerate(members):
            archive.writestr(info, strange(chance, content) if number == at else content)
    return packed.getvalue()


def changed_json(chance, content) -> bytes:
    places, todo = [], [content]
    while todo:
        here = todo.pop()
        keys = list(here) if isinstance(here, dict) else range(len(here)) if isinstance(here, list) else ()
        places += [(here, key) for key in keys]
        todo += [here[key] for key in keys]
    if not places:
        return json.dumps(chance.choice(VALUES)).encode()
    here, key = chance.choice(places)
    kind = chance.random()
    if isinstance(here, dict) and kind < 0.3:
        value = here.pop(key)
        if chance.random() < 0.5:
            here[chance.choice(("\x1b[2J", "x" * 1000, "é", "\ud800"))] = value
    elif isinstance(here, dict) and kind < 0.35:  # a key that stands there twice
        here["twice"] = None
        return json.dumps(content).replace('"twice": null', f"{json.dumps(key)}: {json.dumps('x')}", 1).encode()
    else:
        here[key] = chance.choice(VALUES)
    return json.dumps(content).encode()


def everything(folder):
    return {path.relative_to(folder): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}


def peak_memory(begin: bool = False) -> float:
    """GiB that this process has held at most since this was last called with `begin`: its tests share it."""
    if begin:
        Path("/proc/self/clear_refs").write_text("5")
    peak = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(peak[1]) / 2**20


def typed(words, told: str, statuses=(0, 2)):
    """The finished command, which has ended in time and in words, with one of these statuses."""
    began = time.monotonic()
    done = run_command(*words)
    assert time.monotonic() - began < 60, told
    said = done.stdout + done.stderr
    assert done.returncode in statuses, f"{told}\n{said}"
    assert "Traceback" not in said, f"{told}\n{said}"
    assert not [c for c in said if (ord(c) < 32 and c not in "\n\t\r") or 127 <= ord(c) < 160], f"{told}\n{said!r}"
    assert done.returncode != 2 or "error: " in done.stderr, f"{told}\n{said}"
    assert len(said) < 100_000, f"{told}\n{said[:2000]}"
    return done
