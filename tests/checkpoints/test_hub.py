"""Models by name, from a server on this machine that speaks the hub's protocol."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from small_models import CONFIGS, random_weights

from electra_tf.checkpoints import pretrained, read_model, write_folder
from electra_tf.checkpoints.hub import located

COMMIT = "a" * 40


class Hub(BaseHTTPRequestHandler):
    """One public model, `some/model`, and a gated one, `some/gated`."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        state, path = self.server.state, self.path.split("?")[0]
        state["asked"].append(f"{self.command} {path}")
        if state["ill"]:
            return self.send(503, b"")
        if path.startswith("/api/models/some/model"):
            revision = path.rpartition("/revision/")[2] if "/revision/" in path else "main"
            if revision not in ("main", "v1", COMMIT):
                return self.send(404, b"", {"X-Error-Code": "RevisionNotFound"})
            files = [{"rfilename": name} for name in state["files"]]
            return self.send(200, json.dumps({"id": "some/model", "sha": COMMIT, "siblings": files}).encode())
        if path.startswith("/api/models/some/gated"):
            return self.send(403, b"", {"X-Error-Code": "GatedRepo"})
        if path.startswith("/some/model/resolve/"):
            name = path.rpartition("/")[2]
            content = state["files"][name]
            head = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
            cut = name.endswith(".safetensors") and state["cut"]
            return self.send(200, content if body else b"", head, len(content), cut)
        return self.send(401, b"", {"X-Error-Code": "RepoNotFound"})

    def send(self, status, content, head=(), length=None, cut=False):
        self.send_response(status)
        for name, value in dict(head).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self.close_connection = True


@pytest.fixture
def hub(tmp_path):
    """(the state of a server, its address, a folder with the model that it has)."""
    config = CONFIGS["electra"]
    model = pretrained("discriminator", config, random_weights(config, config, seed=3))
    write_folder(tmp_path / "model", model)
    files = {file.name: file.read_bytes() for file in (tmp_path / "model").iterdir()}
    files |= {"pytorch_model.bin": b"a pickle", "tf_model.h5": b"not needed", "README.md": b"words"}
    files["vocab.txt"] = b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n"
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.state = {"files": files, "asked": [], "cut": False, "ill": False}
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.state, f"http://127.0.0.1:{server.server_port}", tmp_path / "model"
    server.shutdown()
    server.server_close()


def inspected(name, address, home, **environment):
    """`electra-tf inspect` of a name, in a process of its own: the library reads its settings when it is imported."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    settings = {"HF_ENDPOINT": address, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "*"}
    command = [sys.executable, "-m", "electra_tf", "inspect", "--json", name]
    return subprocess.run(command, env=clean | settings | environment, capture_output=True, text=True, timeout=120)


def snapshot(home):
    (folder,) = (home / "hub/models--some--model/snapshots").iterdir()
    return folder


def test_a_name_is_downloaded_without_pickles_and_read_from_the_cache_then(hub, tmp_path):
    state, address, folder = hub
    first = inspected("some/model", address, tmp_path / "home")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["class"] == "ElectraForPreTraining"
    names = {file.name for file in snapshot(tmp_path / "home").iterdir()}
    assert {"model.safetensors", "config.json"} <= names
    assert not names & {"pytorch_model.bin", "tf_model.h5", "README.md"}
    ours, theirs = read_model(snapshot(tmp_path / "home")), read_model(folder)
    for name, array in theirs.weights.items():
        np.testing.assert_array_equal(ours.weights[name], array)
    state["asked"].clear()
    again = inspected("some/model@v1", address, tmp_path / "home")
    assert again.returncode == 0 and not any("GET /some/model/resolve" in line for line in state["asked"])
    state["asked"].clear()
    offline = inspected("some/model", address, tmp_path / "home", HF_HUB_OFFLINE="1")
    assert offline.returncode == 0 and offline.stdout == first.stdout and not state["asked"]


def test_a_copy_is_used_where_the_hub_is_ill_and_nothing_is_asked_for_a_commit_that_is_there(hub, tmp_path):
    state, address, _ = hub
    first = inspected("some/model", address, tmp_path / "home")
    state["ill"] = True
    again = inspected("some/model", address, tmp_path / "home")
    assert again.returncode == 0 and again.stdout == first.stdout, again.stderr
    nowhere = inspected("some/model", address, tmp_path / "empty")
    assert nowhere.returncode == 2 and "503" in nowhere.stderr and "Traceback" not in nowhere.stderr
    state["asked"].clear()
    pinned = inspected(f"some/model@{COMMIT}", address, tmp_path / "home")
    assert pinned.returncode == 0 and pinned.stdout == first.stdout and not state["asked"]


def test_each_trouble_is_an_error_of_its_own(hub, tmp_path):
    state, address, _ = hub
    cases = {
        "some/missing": (address, {}, "no such model on the hub"),
        "some/gated": (address, {}, "may not be read without permission"),
        "some/model@nowhere": (address, {}, "no revision 'nowhere'"),
        "some/model": ("http://127.0.0.1:9", {}, "the hub cannot be reached"),
        "some/model@main": (address, {"HF_HUB_OFFLINE": "1"}, "the hub cannot be reached"),
        "runs/a--b": (address, {}, "no such file or folder"),  # a path, mistyped, that is no name either
    }
    for name, (where, environment, words) in cases.items():
        done = inspected(name, where, tmp_path / "home", **environment)
        assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr, (name, done.stderr)
        assert f"where:      {name}" in done.stderr
    del state["files"]["model.safetensors"], state["files"]["tf_model.h5"], state["files"]["pytorch_model.bin"]
    done = inspected("some/model", address, tmp_path / "home")
    assert done.returncode == 2 and "no weights that can be read" in done.stderr, done.stderr


def test_a_cut_download_is_an_error_and_the_next_one_is_whole(hub, tmp_path):
    state, address, _ = hub
    state["cut"] = True
    done = inspected("some/model", address, tmp_path / "home")
    assert done.returncode == 2 and "the download was cut" in done.stderr and "Traceback" not in done.stderr, (
        done.stderr
    )
    offline = inspected("some/model", address, tmp_path / "home", HF_HUB_OFFLINE="1")
    assert offline.returncode == 2 and "the hub cannot be reached" in offline.stderr, offline.stderr
    state["cut"] = False
    done = inspected("some/model", address, tmp_path / "home")
    assert done.returncode == 0, done.stderr


def test_a_path_that_is_there_is_no_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some/model").mkdir(parents=True)
    assert str(located("some/model")) == "some/model"
    assert str(located("/some/model")) == "/some/model" and str(located("a/b/c")) == "a/b/c"
