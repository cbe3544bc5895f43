"""Errors are one line and a code; no traceback without --debug; nothing wrong is ever returned."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from facesearch.store import Store, schema
from small_store import enroll, recipe


def one_line(done, *words) -> str:
    """The error, which is one line after the store's."""
    lines = [line for line in done.err.splitlines() if not line.startswith("store: ")]
    assert len(lines) == 1, done.err
    assert lines[0].startswith("facesearch: ")
    for word in words:
        assert str(word) in lines[0]
    assert done.raw == b""
    return lines[0]


COMMANDS = [["query", "me.png"], ["info"], ["roots"]]


@pytest.mark.parametrize("command", [*COMMANDS, ["check"]])
def test_no_store(program, folder, red, command):
    done = program(*command)
    assert done.code == 1
    one_line(done, folder / "faces.npz", "no store", "facesearch index")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("content", [b"hello world, this is text", b"", b"PK\3\4" + bytes(500)])
def test_not_a_store(program, folder, red, command, content):
    (folder / "faces.npz").write_bytes(content)
    done = program(*command)
    assert done.code == 1
    one_line(done, folder / "faces.npz")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_is_no_store(program, folder, red, command):
    (folder / "faces.npz").mkdir()
    done = program(*command)
    assert done.code == 1
    one_line(done, "not a facesearch store", "--store")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_store_of_a_newer_version(program, photos, folder, red, command, monkeypatch):
    monkeypatch.setattr(schema, "VERSION", 9)
    enroll(folder / "faces.npz", [photos])
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    done = program(*command)
    assert done.code == 1
    one_line(done, "newer facesearch (format 9)", "update")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_store_cut_short(program, store, red, share):
    raw = store.read_bytes()
    store.write_bytes(raw[: int(len(raw) * share)])
    for command in COMMANDS:
        done = program(*command)
        assert done.code == 1
        one_line(done, store)
    assert program("check").code == 1


def test_flipped_bytes_anywhere_are_an_error_or_change_nothing(program, store, red):
    raw = store.read_bytes()
    right = program("query", "me.png", "--json").json["results"]
    embeddings = raw.index(Store.open(store).rows[0].tobytes())
    spots = [*range(7, len(raw), len(raw) // 60), *range(embeddings, embeddings + 4000, 401)]
    refused = 0
    for spot in spots:
        store.write_bytes(raw[:spot] + bytes([raw[spot] ^ 0x41]) + raw[spot + 1 :])
        done = program("query", "me.png", "--json")
        if done.code == 1:
            refused += 1
            one_line(done)
        else:
            assert done.json["results"] == right
        assert program("check").code == 1
    assert refused > len(spots) // 2
    for spot in spots[-10:]:
        store.write_bytes(raw[:spot] + bytes([raw[spot] ^ 0x41]) + raw[spot + 1 :])
        assert program("query", "me.png").code == 1


def test_rows_of_other_weights_are_refused_naming_both(program, photos, folder, red):
    other = dataclasses.replace(recipe().extractor, weights="ab" * 32)
    enroll(folder / "faces.npz", [photos], recipe_=dataclasses.replace(recipe(), extractor=other))
    done = program("query", "me.png")
    assert done.code == 1
    one_line(done, folder / "faces.npz", "abababababab", recipe().extractor.weights[:12])
    assert program("info").code == 0


def test_a_damaged_store_with_a_photo_that_is_none_is_told(program, store, red):
    store.write_bytes(store.read_bytes()[:-100])
    assert program("query", "me.png", "--json").code == 1


def test_traceback_with_debug_alone_wherever_it_stands(program, folder):
    assert "Traceback" not in program("info").err
    for arguments in (["--debug", "info"], ["info", "--debug"]):
        done = program(*arguments)
        assert done.code == 1
        assert "Traceback" in done.err
        assert "StoreMissingError" in done.err
        assert done.err.splitlines()[-1].startswith("facesearch: ")


def test_debug_after_two_dashes_is_a_name(program, store):
    done = program("query", "--", "--debug")
    assert done.code == 1
    assert "--debug: no such file" in done.out


@pytest.mark.parametrize("arguments", [["frobnicate"], ["info", "--nonsense"], ["query"]])
def test_wrong_usage(program, folder, arguments):
    done = program(*arguments)
    assert done.code == 2
    (line,) = done.err.splitlines()
    assert line.startswith("facesearch: ")
    assert line.endswith(" --help")
    assert done.raw == b""


def test_no_arguments_at_all_show_the_help(program, folder):
    done = program()
    assert done.code == 2
    assert "Usage: facesearch" in done.err + done.out


def test_an_error_of_our_own_says_so(program, store, red, monkeypatch):
    def broken(*arguments, **options):
        raise RuntimeError("oops\nsecond line \x1b[31m")

    monkeypatch.setattr("facesearch.querying.query", broken)
    done = program("query", "me.png")
    assert done.code == 1
    line = one_line(done, "internal error", "RuntimeError", "--debug")
    assert "\x1b" not in line


def test_a_failing_network_is_reported_as_itself(program, store, red, monkeypatch):
    from facesearch.errors import ModelError
    from small_store import ColorEmbedder

    def fail(self, photo):
        raise ModelError("the network failed: no memory")

    monkeypatch.setattr(ColorEmbedder, "detect", fail)
    done = program("query", "me.png")
    assert done.code == 1
    assert done.lines[0] == "me.png: the network failed: no memory"


def test_missing_weights_are_told(program, store, red, monkeypatch):
    from facesearch.errors import WeightsError

    def missing(names, options, fetch):
        raise WeightsError("facenet-128 is missing; run: facesearch models pull facenet-128")

    monkeypatch.setattr("facesearch.processing.make_ready", missing)
    done = program("query", "me.png", "--offline")
    assert done.code == 1
    one_line(done, "facesearch models pull")


@pytest.mark.parametrize("much", [True, False])
def test_broken_pipes_are_quiet(child, store, red, much):
    """Cut in the middle of what does not fit into the pipe, or before anything is written."""
    queries = ["me.png"]
    if much:
        for n in range(40):
            queries.append(shutil.copy(red, f"{n}.png"))
    process = subprocess.Popen(
        child("query", *queries, "-k", "all", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    if much:
        process.stdout.read(1)
    process.stdout.close()
    _, err = process.communicate(timeout=100)
    assert err.decode() == f"store: {store}\n"
    assert process.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_output(run_child, store, red):
    with Path("/dev/full").open("wb") as full:
        done = run_child("query", "me.png", stdout=full)
    assert done.returncode == 1
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(child, store, red, sent):
    process = subprocess.Popen(
        child("query", "me.png"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "COLORS_SLOW": "1"},
    )
    assert process.stderr is not None
    while b"at work" not in (line := process.stderr.readline()):
        assert line, "it ended before it was at work"
    time.sleep(0.1)
    process.send_signal(sent)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == b""
    assert err.decode().splitlines() == ["facesearch: interrupted"]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["query", "--help"], ["info"], ["roots"], ["query", "none.png"]]
)
def test_nothing_heavy_is_imported_for_nothing(child, store, arguments):
    code = "import sys; from facesearch.cli.main import run; run(sys.argv[1:]); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert "facesearch" in loaded
    heavy = {"tensorflow", "keras", "mtcnn", "keras_facenet", "onnx", "onnxruntime", "sklearn"}
    if arguments == ["query", "none.png"]:
        heavy -= {"sklearn"}  # begins to load beside the first photo
    assert not loaded & heavy


@pytest.mark.parametrize(
    ("typed", "meant"), [("quary", "query"), ("idnex", "index"), ("forgt", "forget")]
)
def test_a_command_that_is_misspelt(program, typed, meant):
    done = program(typed, "me.png")
    assert done.code == 2
    assert done.out == ""
    assert done.err == (
        f"facesearch: No such command '{typed}'. Did you mean '{meant}'? See facesearch --help\n"
    )


def test_a_command_like_no_other(program):
    done = program("xyzzy")
    assert done.code == 2
    assert done.err == "facesearch: No such command 'xyzzy'; see facesearch --help\n"


def test_a_photo_on_the_web_is_no_file(program, store):
    done = program("query", "https://example.com/a.jpg?key=secret")
    assert done.code == 2
    told = done.err.splitlines()[-1]
    assert told.startswith("facesearch: https://: facesearch takes files and folders")
    assert "secret" not in told
