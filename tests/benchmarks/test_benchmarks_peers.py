import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks.peers import FOLDER, PEERS, available, environment_of, making
from benchmarks.peers.making import pins_of
from benchmarks.processes import BenchmarkError

OWN_ENVIRONMENT = {
    "deepface": {"numpy", "deepface", "cv2"},
    "face_recognition": {"numpy", "face_recognition"},
}
FAKE = """
import sys
sys.path.insert(0, {folder!r})
import numpy as np
from side import Found, by_numpy, main


class Fake:
    def find(self, path):
        number = int(open(path).read())
        boxes = np.arange(4.0 * number).reshape(number, 4)
        return Found((250, 200), boxes, np.arange(2.0 * number).reshape(number, 2) + number)

    def nearest(self, rows, row, k):
        return by_numpy(rows, row, k)


if __name__ == "__main__":
    main(Fake)
"""


def imported(script: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
    return found


@pytest.mark.parametrize("name", PEERS)
def test_a_script_needs_what_its_environment_has(name):
    peer = PEERS[name]
    script = FOLDER / peer.script
    compile(script.read_text(encoding="utf-8"), peer.script, "exec")
    if peer.environment is not None:
        foreign = imported(script) - {"side", "__future__"} - set(sys.stdlib_module_names)
        assert foreign == OWN_ENVIRONMENT[name]
        shared = imported(FOLDER / "side.py") - set(sys.stdlib_module_names)
        assert shared == {"numpy"}


@pytest.mark.parametrize("name", OWN_ENVIRONMENT)
def test_an_environment_is_pinned_exactly(name):
    lines = pins_of(name).read_text(encoding="utf-8").splitlines()
    pinned = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in pinned)
    names = {line.partition("==")[0].replace("-", "_").lower() for line in pinned}
    assert name in names
    assert {"deepface": {"mtcnn", "tf_keras"}, "face_recognition": {"setuptools"}}[name] <= names


@pytest.fixture
def fake(tmp_path):
    """A peer that finds as many faces in a file as the number in it says."""
    script = tmp_path / "fake_side.py"
    script.write_text(FAKE.format(folder=str(FOLDER)))
    listed = []
    for count in (2, 0, 3, 1):
        path = tmp_path / f"{count}.txt"
        path.write_text(str(count))
        listed.append(str(path))
    (tmp_path / "list").write_text("\n".join(listed))

    def call(*arguments: str):
        done = subprocess.run(
            [sys.executable, str(script), *arguments],
            cwd=tmp_path, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return json.loads(done.stdout.splitlines()[-1])

    return call


def test_all_processes_write_what_one_writes(fake, tmp_path):
    one = fake("index", "list", "one.npz")
    two = fake("index", "list", "two.npz", "--processes", "2")
    assert (one["photos"], one["faces"]) == (two["photos"], two["faces"]) == (4, 6)
    with np.load(tmp_path / "one.npz") as a, np.load(tmp_path / "two.npz") as b:
        assert a["photo"].tolist() == [0, 0, 2, 2, 2, 3]
        assert a["size"].tolist() == [[250, 200]] * 4
        for name in a.files:
            assert np.array_equal(a[name], b[name]), name


def test_a_query_takes_the_largest_face_and_ranks_photos_by_face(fake, tmp_path):
    fake("index", "list", "one.npz")
    # The largest of the three faces has the row (7, 8); the nearest faces are its own photo's.
    found = fake("query", "one.npz", str(tmp_path / "3.txt"))["nearest"]
    assert [Path(path).name for path in found] == [
        "3.txt", "3.txt", "2.txt", "3.txt", "2.txt", "1.txt"
    ]  # fmt: skip
    assert fake("query", "one.npz", str(tmp_path / "0.txt"))["nearest"] == []


def test_warm_queries_give_median_and_ninth_decile(fake):
    fake("index", "list", "one.npz")
    found = fake("warm", "one.npz", "list")
    assert 0 < found["median_ms"] <= found["p90_ms"]


def test_only_what_was_made_can_be_run(tmp_path):
    assert set(available(None)) == {"first-report"}
    assert set(available(tmp_path)) == {"first-report"}
    python = tmp_path / "deepface" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert set(available(tmp_path)) == {"first-report", "deepface"}


def test_a_peer_looks_for_weights_among_the_peers_and_does_not_see_our_path(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "somewhere")
    seen = environment_of(PEERS["deepface"], tmp_path)
    assert seen["DEEPFACE_HOME"] == str(tmp_path / "home")
    assert "PYTHONPATH" not in seen


def test_nothing_is_left_where_pip_fails_and_the_pins_are_what_is_installed(tmp_path, monkeypatch):
    commands = []

    def fails_second(command, surroundings):
        commands.append(command)
        if len(commands) > 1:
            raise BenchmarkError("pip failed")
        Path(command[-1]).mkdir()

    monkeypatch.setattr(making, "run", fails_second)
    with pytest.raises(BenchmarkError, match="pip failed"):
        making.make_environment(tmp_path / "made", tmp_path / "pins.txt")
    assert commands[1][-2:] == ["-r", str(tmp_path / "pins.txt")]
    assert not list(tmp_path.iterdir())
