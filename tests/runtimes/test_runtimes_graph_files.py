"""Drawn graphs in the cache folder: drawn once, never believed when they are others."""

from __future__ import annotations

import errno
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from facesearch.errors import FacesearchError, ModelError, UsageError, WeightsError
from facesearch.runtimes import Fetch, NetworkSpec, RuntimeOptions, load_network, make_ready
from facesearch.runtimes import graph_files as files
from facesearch.runtimes.graphs import DRAWINGS, Drawing

NAME = "mtcnn-rnet"
OPTIONS = RuntimeOptions("onnx", "cpu", precision="float32")
OFFLINE = Fetch(offline=True)
PULL = "run: facesearch models pull facenet-128"
"""R-Net comes with the default model."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("FACESEARCH_HOME", str(folder))
    return folder


@pytest.fixture
def graph(home: Path) -> Path:
    """R-Net's, drawn."""
    make_ready([NAME], OPTIONS, OFFLINE)
    return home / "models" / f"{NAME}.float32.onnx"


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The precisions that R-Net is drawn in from now on."""
    drawn: list[str] = []
    before = DRAWINGS[NAME]

    def draw(precision: str) -> bytes:
        drawn.append(precision)
        return before.draw(precision)

    monkeypatch.setitem(DRAWINGS, NAME, Drawing(draw, exact=True))
    return drawn


def _line(error: pytest.ExceptionInfo[FacesearchError]) -> str:
    line = str(error.value)
    assert "\n" not in line
    return line


def test_a_graph_is_drawn_once(draws: list[str], graph: Path) -> None:
    assert draws == ["float32"]
    before = graph.stat().st_mtime_ns
    assert load_network(NetworkSpec(NAME, OPTIONS)) is not None

    make_ready([NAME], OPTIONS, OFFLINE)

    assert draws == ["float32"]
    assert graph.stat().st_mtime_ns == before
    assert [path.name for path in graph.parent.iterdir()] == [graph.name]


def test_a_missing_graph_names_the_command(home: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        load_network(NetworkSpec(NAME, OPTIONS))

    assert str(home / "models" / f"{NAME}.float32.onnx") in _line(caught)
    assert _line(caught).endswith(PULL)


def _flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize(
    "damage", [_flip, lambda data: data[:-1], lambda data: b"", lambda data: data + b"\0"]
)
def test_a_damaged_graph_is_not_believed_and_drawn_again(graph: Path, damage: object) -> None:
    right = graph.read_bytes()
    graph.write_bytes(damage(right))  # type: ignore[operator]

    with pytest.raises(WeightsError) as caught:
        load_network(NetworkSpec(NAME, OPTIONS))
    assert _line(caught) == f"{graph}: damaged, or of another version; {PULL}"
    assert files.state_of(files.graph_file(NAME, "float32"), hashed=True) == "damaged"

    make_ready([NAME], OPTIONS, OFFLINE)
    assert graph.read_bytes() == right
    load_network(NetworkSpec(NAME, OPTIONS))


def test_one_that_cannot_be_read_says_so(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Path.open

    def refuse(path: Path, *arguments: object, **options: object) -> object:
        if path == graph:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return before(path, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refuse)
    for ask in (
        lambda: load_network(NetworkSpec(NAME, OPTIONS)),
        lambda: make_ready([NAME], OPTIONS, OFFLINE),
    ):
        with pytest.raises(WeightsError) as caught:
            ask()
        line = _line(caught)
        assert line == f"cannot read {graph}: Permission denied; check its permissions"


def test_other_bytes_than_the_manifest_states_are_not_kept(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DRAWINGS, NAME, Drawing(lambda precision: b"other", exact=True))

    with pytest.raises(WeightsError) as caught:
        make_ready([NAME], OPTIONS, OFFLINE)

    assert f"{NAME} came out as SHA-256 {hashlib.sha256(b'other').hexdigest()[:12]}" in _line(
        caught
    )
    assert "--runtime tensorflow" in _line(caught)
    assert not list(home.glob("models/*"))


def test_offline_and_without_weights(home: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        make_ready(["facenet-128"], OPTIONS, OFFLINE)

    line = _line(caught)
    assert str(home / "models" / "facenet-128.h5") in line
    assert line.endswith("run: facesearch models pull facenet-128")


def test_without_weights_a_graph_that_is_there_is_enough(graph: Path) -> None:
    def gone(*_: object, **__: object) -> None:
        raise AssertionError("the weights were asked for")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("facesearch.weights.ensure", gone)
        make_ready([NAME], OPTIONS, OFFLINE)
        load_network(NetworkSpec(NAME, OPTIONS))


def test_a_full_disk_leaves_nothing_half_done(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(WeightsError) as caught:
            make_ready([NAME], OPTIONS, OFFLINE)

    line = _line(caught)
    assert f"cannot write {home / 'models' / NAME}.float32.onnx: No space left on device" in line
    assert "FACESEARCH_HOME" in line
    assert not list(home.glob("models/*"))


def test_a_home_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "file" / "home"))

    with pytest.raises(WeightsError) as caught:
        make_ready([NAME], OPTIONS, OFFLINE)

    assert f"cannot write {tmp_path / 'file' / 'home'}: Not a directory" in _line(caught)
    assert "FACESEARCH_HOME" in _line(caught)


def test_a_home_that_may_only_be_read_is_enough_once_the_graph_is_there(
    graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was written")

    for name in ("tempfile.mkstemp", "pathlib.Path.mkdir", "filelock.FileLock.acquire"):
        monkeypatch.setattr(name, refuse)

    make_ready([NAME], OPTIONS, OFFLINE)
    load_network(NetworkSpec(NAME, OPTIONS))


def test_two_processes_at_once_draw_it_once(home: Path) -> None:
    code = (
        "import time, dataclasses\n"
        "from facesearch.runtimes import *\n"
        "from facesearch.runtimes.graphs import DRAWINGS\n"
        f"before = DRAWINGS[{NAME!r}]\n"
        "def slowly(precision):\n"
        "    print('drawn', flush=True)\n"
        "    time.sleep(1)\n"
        "    return before.draw(precision)\n"
        f"DRAWINGS[{NAME!r}] = dataclasses.replace(before, draw=slowly)\n"
        "print('ready', flush=True)\n"
        "input()\n"
        f"make_ready([{NAME!r}], RuntimeOptions('onnx', 'cpu'), Fetch(offline=True))\n"
        f"load_network(NetworkSpec({NAME!r}, RuntimeOptions('onnx', 'cpu')))\n"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in running:
        assert process.stdout and process.stdout.readline() == "ready\n"
    outputs = []
    for process in running:  # both are let go before either is waited for
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    for process in running:
        outputs.append(process.communicate(timeout=60))

    assert [process.returncode for process in running] == [0, 0], outputs
    assert sorted(out for out, _ in outputs) == ["", "drawn\n"]
    assert all(err == "" for _, err in outputs)


def test_without_the_package_that_writes_graphs(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)

    with pytest.raises(ModelError, match=r"pip install --force-reinstall onnx$") as caught:
        make_ready([NAME], OPTIONS, OFFLINE)
    assert NAME in _line(caught)


def test_what_there_is_no_graph_of(home: Path) -> None:
    assert files.graphs_of("vgg16") == []
    with pytest.raises(UsageError, match=r"no network 'vgg16' here, but mtcnn-pnet"):
        make_ready(["vgg16"], OPTIONS, OFFLINE)
    assert [graph.precision for graph in files.graphs_of("facenet-128")] == ["float32", "int8"]


def test_only_what_is_missing_or_damaged_is_drawn(draws: list[str], graph: Path) -> None:
    names = [NAME, "mtcnn-pnet", "vgg16"]
    assert [made.name for made in files.draw_missing(names, OFFLINE)] == ["mtcnn-pnet"]
    graph.write_bytes(b"")

    assert [made.name for made in files.draw_missing(names, OFFLINE)] == [NAME]
    assert files.draw_missing(names, OFFLINE) == []
    assert draws == ["float32"] * 2


def test_a_graph_that_the_manifest_does_not_know_has_a_card(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, drawn = "facenet-512", []

    def draw(precision: str) -> bytes:
        drawn.append(precision)
        return b"graph"

    monkeypatch.setitem(DRAWINGS, name, Drawing(draw, standardise="fixed"))
    monkeypatch.setattr("facesearch.weights.ensure", lambda name, **_: None)
    monkeypatch.setattr("facesearch.weights.sha256_of", lambda name: "of these")
    make_ready([name], OPTIONS, OFFLINE)
    graph = home / "models" / f"{name}.float32.onnx"
    card = home / "models" / f"{name}.float32.onnx.json"
    facts = json.loads(card.read_text())
    sha256 = hashlib.sha256(b"graph").hexdigest()
    assert facts == {"sha256": sha256, "weights": "of these", "version": files.VERSION}

    make_ready([name], OPTIONS, OFFLINE)
    assert files.read_graph(name, "float32") == b"graph"
    assert len(drawn) == 1

    for spoilt in ("", "[]", "{", json.dumps({**facts, "version": 0}),
                   json.dumps({**facts, "weights": "of others"})):  # fmt: skip
        card.write_text(spoilt)
        _require_redrawn(name, drawn)
    card.unlink()
    _require_redrawn(name, drawn)
    graph.write_bytes(b"grabh")
    _require_redrawn(name, drawn)
    assert json.loads(card.read_text()) == facts

    monkeypatch.setattr("facesearch.weights.sha256_of", lambda name: "of others")
    (made,) = files.graphs_of(name)
    assert files.state_of(made) == files.state_of(made, hashed=True) == "damaged"


def _require_redrawn(name: str, drawn: list[str]) -> None:
    before = len(drawn)
    with pytest.raises(WeightsError, match=f"of another version; run: .* pull {name}"):
        files.read_graph(name, "float32")
    make_ready([name], OPTIONS, OFFLINE)
    assert len(drawn) == before + 1
    assert files.read_graph(name, "float32") == b"graph"
