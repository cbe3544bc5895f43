"""Which store a command uses, and what it says of it."""

from __future__ import annotations

import json
import shutil

import pytest


def test_store_by_option_environment_and_default(program, store, red, folder, monkeypatch):
    for name in ("a.npz", "b.npz"):
        shutil.copy(store, folder / name)
    monkeypatch.setenv("FACESEARCH_STORE", "a.npz")
    for command in (["query", "me.png"], ["roots"]):
        assert program(*command).err.startswith(f"store: {folder / 'a.npz'}\n")
        assert program(*command, "--store", "b.npz").err.startswith(f"store: {folder / 'b.npz'}\n")
        monkeypatch.setenv("FACESEARCH_STORE", "")
        assert program(*command).err.startswith(f"store: {store}\n")
        monkeypatch.setenv("FACESEARCH_STORE", "a.npz")
    for command in ("info", "check"):
        assert str(folder / "a.npz") in program(command).out
        assert str(folder / "b.npz") in program(command, "--store", "b.npz").out
        assert str(folder / "b.npz") in program(command, "b.npz").out


def test_a_stores_name_cannot_steer_the_terminal(program, store, red):
    odd = store.rename(store.with_name("a\x1b[2J\n.npz"))
    for command in (["query", red], ["info"], ["check"], ["roots"], ["info", odd]):
        done = program(*command, "--store", odd)
        text = done.out + done.err
        assert "\x1b" not in text
        assert "a\\x1b[2J\\n.npz" in text


@pytest.mark.parametrize("command", ["info", "check"])
def test_two_stores_are_one_too_many(program, store, command):
    done = program(command, "faces.npz", "--store", "faces.npz")
    assert done.code == 2
    assert "name one store" in done.err


def test_a_missing_store_names_those_used_lately(
    program, store, red, folder, tmp_path, monkeypatch
):
    names = [f"store{n}.npz" for n in range(7)]
    for name in names:
        shutil.copy(store, folder / name)
        assert program("info", name).code == 0
    (folder / "store6.npz").unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    done = program("query", "x.png")
    assert done.code == 1
    lately = ", ".join(str(folder / f"store{n}.npz") for n in (5, 4, 3, 2))
    assert f"{elsewhere / 'faces.npz'}: no store here; used lately: {lately} (choose" in done.err
    assert "facesearch index" in done.err


def test_what_is_no_store_is_not_remembered(program, store, folder, tmp_path):
    (folder / "notes.npz").write_text("notes")
    assert program("info", "notes.npz").code == 1
    assert program("query", "x.png", "--store", "notes.npz").code == 1
    assert program("info").code == 0
    assert json.loads((tmp_path / "home" / "recent-stores.json").read_text()) == [str(store)]


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", '{"a": 1}', "\udcff"])
def test_a_spoilt_list_of_stores_hurts_nobody(program, store, tmp_path, content):
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    (home / "recent-stores.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert program("info").code == 0
    assert program("info", "none.npz").code == 1


def test_a_home_that_cannot_be_written_hurts_nobody(program, store, tmp_path):
    (tmp_path / "home").write_text("a file")
    assert program("info").code == 0
    assert program("info", "none.npz").code == 1


def test_a_store_through_a_file_is_missing(program, store):
    done = program("info", "faces.npz/inner.npz")
    assert done.code == 1
    assert "no store here" in done.err
