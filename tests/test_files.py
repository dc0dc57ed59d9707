"""Files and folders are written whole or not at all, and nothing else is harmed."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from electra_tf import files
from electra_tf.errors import OutputError
from electra_tf.files import put, remove, replaced, whole_file, whole_folder, write_whole


def contents(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def synced(monkeypatch):
    """Names of what was brought to the disk, and of what was renamed, in order."""
    done, sync, rename = [], files._sync, os.replace
    monkeypatch.setattr(files, "_sync", lambda path: (done.append(path.name), sync(path)))
    monkeypatch.setattr(os, "replace", lambda old, new: (done.append(f"-> {new.name}"), rename(old, new)))
    return done


def test_a_file_is_written_whole_and_its_folder_is_made(tmp_path):
    write_whole(tmp_path / "a" / "b" / "text", "é\n")
    write_whole(tmp_path / "a" / "b" / "text", b"new")
    assert contents(tmp_path) == {"a/b/text": "new"}


def test_an_error_in_the_body_leaves_the_file_as_it_was_and_nothing_beside_it(tmp_path):
    write_whole(tmp_path / "text", "old")
    with pytest.raises(KeyboardInterrupt), replaced(tmp_path / "text") as aside:
        aside.write_text("half of the n")
        raise KeyboardInterrupt
    assert contents(tmp_path) == {"text": "old"}


def test_an_error_in_the_body_leaves_the_folder_as_it_was_and_nothing_beside_it(tmp_path):
    with whole_folder(tmp_path / "model", str.isalpha, 0) as aside:
        (aside / "weights").write_text("old")
    with pytest.raises(OutputError), whole_folder(tmp_path / "model", str.isalpha, 0) as aside:
        (aside / "weights").write_text("half of the n")
        raise OSError(28, "No space left on device")
    assert contents(tmp_path) == {"model/weights": "old"}


def test_a_folder_takes_the_place_of_one_that_holds_something(tmp_path):
    for names in (("a", "b"), ("b", "c")):
        with whole_folder(tmp_path / "model", str.isalpha, 0) as aside:
            for name in names:
                (aside / name).write_text(names[0])
    assert contents(tmp_path) == {"model/b": "b", "model/c": "b"}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_with_something_else_in_it_is_not_replaced(tmp_path):
    write_whole(tmp_path / "model" / "thesis.tex", "years of work")
    with pytest.raises(OutputError, match=r"thesis\.tex"), whole_folder(tmp_path / "model", str.isalpha, 0):
        raise AssertionError("nothing is to be written")
    assert contents(tmp_path) == {"model/thesis.tex": "years of work"}


def test_a_rename_that_fails_puts_the_old_folder_back(tmp_path, monkeypatch):
    write_whole(tmp_path / "model" / "weights", "old")
    write_whole(tmp_path / "aside" / "weights", "new")
    rename = os.replace

    def failing(old, new):
        if old == tmp_path / "aside":
            raise OSError(5, "Input/output error")
        rename(old, new)

    monkeypatch.setattr(files, "_RENAMEAT2", None)
    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="Input/output error"):
        put(tmp_path / "aside", tmp_path / "model")
    assert contents(tmp_path) == {"model/weights": "old", "aside/weights": "new"}


def test_what_is_written_reaches_the_disk_before_it_is_put_in_place_and_its_name_after(tmp_path, synced):
    with replaced(tmp_path / "model", tmp_path / "aside") as aside:
        write_whole(aside / "weights", "numbers")
        synced.clear()
    assert sorted(synced[:2]) == ["aside", "weights"]
    assert synced[2:] == ["-> model", tmp_path.name]


def test_what_is_verified_when_it_is_read_need_not_reach_the_disk(tmp_path, synced):
    with replaced(tmp_path / "part", synced=False) as aside:
        aside.write_text("numbers")
    assert synced == ["-> part"]


def test_what_a_killed_process_left_aside_is_written_anew(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from electra_tf.files import replaced\n"
        "with replaced(Path(sys.argv[1]) / 'model', Path(sys.argv[1]) / 'aside') as aside:\n"
        "    aside.mkdir(); (aside / 'half').write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)]).returncode == -9
    assert contents(tmp_path) == {"aside/half": "half"}
    with replaced(tmp_path / "model", tmp_path / "aside") as aside:
        aside.mkdir()
        (aside / "whole").write_text("whole")
    assert contents(tmp_path) == {"model/whole": "whole"}


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with whole_file(tmp_path / "link", 0) as aside:
        aside.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there").read_text() == "new"


def test_what_cannot_be_written_is_told_with_its_place_and_size(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(OutputError) as caught:
        write_whole(tmp_path / "file" / "below", b"." * 3_000_000)
    assert caught.value.found == "the file cannot be written: File exists"
    assert caught.value.where == tmp_path / "file" / "below"
    assert caught.value.expected == "3 MB of free space there"
    assert contents(tmp_path) == {"file": "kept"}


def test_a_file_in_a_folder_that_cannot_be_written_is_told_by_the_folders_name(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError) as caught, whole_folder(tmp_path / "model", str.isalpha, 40) as aside:
        monkeypatch.setattr(os, "fsync", full)
        write_whole(aside / "weights", "new")
    assert caught.value.found == "the folder cannot be written: No space left on device"
    assert (caught.value.where, caught.value.expected) == (tmp_path / "model", "40 MB of free space there")
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_too_long_is_told_so(tmp_path):
    with pytest.raises(OutputError, match=r"(?s)File name too long.*at most 230 bytes.*choose a shorter one"):
        write_whole(tmp_path / ("n" * 250), "new")
    write_whole(tmp_path / ("n" * 230), "new")
    assert contents(tmp_path) == {"n" * 230: "new"}


def test_a_file_system_that_cannot_sync_a_folder_is_written_to_all_the_same(tmp_path, monkeypatch):
    sync = os.fsync

    def only_files(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(22, "Invalid argument")
        sync(handle)

    monkeypatch.setattr(os, "fsync", only_files)
    write_whole(tmp_path / "text", "new")
    assert contents(tmp_path) == {"text": "new"}


REPLACING = (
    "import os, signal, sys; from pathlib import Path; from electra_tf import files\n"
    "path, exchanges, dies = Path(sys.argv[1]), sys.argv[2] == 'True', sys.argv[3]\n"
    "files._RENAMEAT2 = files._RENAMEAT2 if exchanges else None\n"
    "rename, remove = os.replace, files.remove\n"
    "def killed(*_): os.kill(os.getpid(), signal.SIGKILL)\n"
    "with files.replaced(path) as aside:\n"
    "    aside.mkdir(); (aside / 'weights').write_text('new')\n"
    "    if dies == 'within': killed()\n"
    "    if dies == 'between':\n"
    "        files.remove = killed if exchanges else remove\n"
    "        os.replace = lambda old, new: killed() if new == path else rename(old, new)\n"
    "        files._exchange = (lambda one, other: killed()) if exchanges else files._exchange\n"
)


@pytest.mark.parametrize("dies", ["within", "between"])
@pytest.mark.parametrize("exchanges", [True, False])
def test_a_folder_that_is_replaced_is_never_missing_after_the_next_start_and_nothing_is_left(tmp_path, exchanges, dies):
    path = tmp_path / "model"
    write_whole(path / "weights", "old")
    done = subprocess.run([sys.executable, "-c", REPLACING, str(path), str(exchanges), dies])
    assert done.returncode == -9
    if exchanges:
        assert (path / "weights").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == (1 if (dies, exchanges) == ("between", False) else 2)
    with pytest.raises(KeyboardInterrupt), replaced(path):
        raise KeyboardInterrupt
    assert contents(tmp_path) == {"model/weights": "old"}


def test_two_names_change_places_at_one_moment(tmp_path):
    """A reader beside it finds the folder at every look."""
    path, looks = tmp_path / "model", []
    write_whole(path / "weights", "0")
    done = threading.Event()

    def look():
        while not done.is_set():
            looks.append(path.is_dir())

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(100):
        with replaced(path) as aside:
            aside.mkdir()
            (aside / "weights").write_text(str(number))
    done.set()
    reader.join()
    assert len(looks) > 100 and all(looks)


def test_what_another_process_is_writing_is_left_alone(tmp_path):
    with replaced(tmp_path / "model") as one, replaced(tmp_path / "model") as other:
        assert one != other
        for aside in (one, other):
            aside.mkdir()
            (aside / "weights").write_text("whole")
    assert contents(tmp_path) == {"model/weights": "whole"}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_many_that_replace_one_path_at_once_end_with_one_whole(tmp_path):
    def work(_):
        for _ in range(50):
            write_whole(tmp_path / "text", "whole")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert contents(tmp_path) == {"text": "whole"}
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_a_file_takes_no_folders_place(tmp_path):
    write_whole(tmp_path / "model" / "thesis.tex", "years of work")
    with pytest.raises(OutputError, match="Is a directory"):
        write_whole(tmp_path / "model", "numbers")
    assert contents(tmp_path) == {"model/thesis.tex": "years of work"}


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path):
    write_whole(tmp_path / "there" / "weights", "kept")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    remove(tmp_path / "link")
    assert contents(tmp_path) == {"there/weights": "kept"}
    assert not (tmp_path / "link").is_symlink()


def test_what_a_person_calls_like_an_aside_stays(tmp_path):
    (tmp_path / ".notes.2024.new").write_text("mine")
    (tmp_path / ".text.abcdefgh.new").write_text("mine")
    for name, inside in ((".exp.7.new", "data"), (".text.hgfedcba.new", "data"), (".text.aaaaaaaa.new", "text")):
        (tmp_path / name).mkdir()
        (tmp_path / name / inside).write_text("there")
    write_whole(tmp_path / "text", "new")
    files.tidy(tmp_path)
    assert contents(tmp_path) == {
        ".notes.2024.new": "mine",
        ".text.abcdefgh.new": "mine",
        ".exp.7.new/data": "there",
        ".text.hgfedcba.new/data": "there",
        "text": "new",
    }


def test_what_is_replaced_may_be_read_by_whom_it_might_before(tmp_path):
    write_whole(tmp_path / "text", "old")
    (tmp_path / "text").chmod(0o600)
    write_whole(tmp_path / "text", "new")
    assert (tmp_path / "text").stat().st_mode & 0o777 == 0o600
    (tmp_path / "model").mkdir(0o700)
    with whole_folder(tmp_path / "model", {"a"}.__contains__, 1) as aside:
        (aside / "a").write_text("new")
    assert (tmp_path / "model").stat().st_mode & 0o777 == 0o700
