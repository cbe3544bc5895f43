"""Words that a shell completes: by click's protocol, and in a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from facesearch.cli import manual
from facesearch.cli.main import COMMANDS
from small_store import GREEN, MIDDLE, RED, draw, enroll

MOST_MODULES = 240
"""The most there were is 207; with numpy it would be 100 more."""


@pytest.fixture
def ask(folder, monkeypatch, capfd):
    """What a shell is told for the last word of a line."""
    from facesearch.cli.main import main

    def asked(line: str, shell: str = "bash") -> list[str]:
        words = line.split(" ")
        monkeypatch.setenv("_FACESEARCH_COMPLETE", f"{shell}_complete")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", words[-1] if shell == "fish" else str(len(words) - 1))
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
        out, err = capfd.readouterr()
        assert err == ""
        return [line for line in out.splitlines() if line]

    return asked


def test_commands_options_and_choices(ask):
    assert [line.split(",")[1] for line in ask("facesearch ")] == [*COMMANDS]
    assert ask("facesearch que") == ["plain,query"]
    assert ask("facesearch query --max") == ["plain,--max-distance"]
    assert ask("facesearch --no-s") == ["plain,--no-settings"]
    assert ask("facesearch index --detail ") == ["plain,normal", "plain,high"]
    assert ask("facesearch roots ") == ["plain,drop", "plain,list", "plain,move"]
    assert ask("facesearch roots move --w") == ["plain,--wait"]


def test_store_files(ask, folder):
    (folder / "a.npz").touch()
    (folder / "notes.txt").touch()
    (folder / "deep").mkdir()
    (folder / "deep" / "b.npz").touch()
    assert ask("facesearch query --store ") == ["plain,a.npz"]
    assert ask("facesearch info a") == ["plain,a.npz"]
    assert ask("facesearch check deep/") == ["plain,deep/b.npz"]
    assert ask("facesearch merge a.npz dee") == ["file,dee"]
    (folder / "my $(own) store.npz").touch()
    assert ask("facesearch info my") == ["file,my"]


def test_names_of_systems_models_and_data(ask):
    assert ask("facesearch eval --system vgg16-l") == ["plain,vgg16-l2"]
    assert "plain,all" in ask("facesearch index --system ")
    assert ask("facesearch index --model ") == ["plain,facenet-128", "plain,facenet-512"]
    assert ask("facesearch models pull vgg") == ["plain,vgg16"]
    assert ask("facesearch datasets pull ") == ["plain,lfw", "plain,samples"]
    assert ask("facesearch query ") == ["file,"]
    assert ask("facesearch query --under ") == ["dir,"]


def test_people(ask, store, folder):
    assert ask("facesearch query --person g") == ["plain,gold", "plain,green"]
    away = folder / "away.npz"
    store.rename(away)
    assert ask("facesearch query --person g") == []
    assert ask("facesearch query --store away.npz --person gr") == ["plain,green"]
    away.write_bytes(b"PK\3\4" + bytes(900))
    assert ask("facesearch query --store away.npz --person gr") == []
    assert ask("facesearch query --store milvus+http://x/y --person gr") == []


def test_other_shells(ask):
    assert ask("facesearch que", "fish") == [f"plain,query\t{manual.summary('query')}"]
    assert ask("facesearch que", "zsh")[1:] == ["query", manual.summary("query")]


LINES = [
    "facesearch ",
    "facesearch query --",
    "facesearch query --person ",
    "facesearch index ",
    "facesearch eval --system ",
    "facesearch models pull ",
    "facesearch datasets pull ",
]


@pytest.mark.parametrize("line", LINES)
def test_completing_starts_nothing_heavy(child, store, line, monkeypatch):
    monkeypatch.setenv("_FACESEARCH_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "from facesearch.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout
    modules = done.stderr.split()
    assert "facesearch.cli.settable" in modules
    assert not {"numpy", "PIL", "requests", "sklearn", "tensorflow", "pydantic"} & set(modules)
    assert len(modules) < MOST_MODULES, len(modules)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed(program, shell):
    done = program("completion", shell)
    assert done.code == 0
    assert "_FACESEARCH_COMPLETE" in done.out
    assert program("completion", "tcsh").code == 2


@pytest.fixture
def in_bash(folder, child, program, tmp_path):
    """What a real bash has to offer for a line."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    script = tmp_path / "completion.bash"
    script.write_bytes(program("completion", "bash").raw)
    called = tmp_path / "bin" / "facesearch"
    called.parent.mkdir()
    called.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m facesearch "$@"\n')
    called.chmod(0o755)

    def offered(*words: str) -> list[str]:
        code = (
            f'source "{script}"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
            'compopt() { :; }; _facesearch_completion facesearch; printf "%s\\n" "${COMPREPLY[@]}"'
        )
        path = f"{called.parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [bash, "--norc", "-c", code, "bash", *words],
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stderr == ""
        return [line for line in done.stdout.splitlines() if line]

    return offered


def test_a_real_bash(in_bash, folder):
    (folder / "a.npz").touch()
    assert in_bash("facesearch", "que") == ["query"]
    assert in_bash("facesearch", "info", "") == ["a.npz"]
    assert in_bash("facesearch", "query", "--sort", "") == ["distance", "date"]


def test_a_stranger_s_folder_is_no_command_in_bash(in_bash, folder):
    """Names come from a store; what bash puts down must be one word that means the name."""
    names = ["xavier $(touch ran)", "x; touch ran", "x`touch ran`", "xa's & co", 'x"y', "x,y", "x~"]
    for number, name in enumerate(names):
        draw(folder / "photos" / name / "1.png", {RED: MIDDLE}, note=number)
    draw(folder / "photos" / "x*" / "1.png", {GREEN: MIDDLE}, note=99)
    enroll(folder / "faces.npz", [folder / "photos"])
    found = in_bash("facesearch", "query", "--person", "x")
    said = subprocess.run(
        ["bash", "--norc", "-c", f'printf "%s\\n" {" ".join(found)}'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(said.stdout.splitlines()) == sorted(names)
    assert not (folder / "ran").exists()
