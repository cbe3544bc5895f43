"""No telemetry: nothing but pulling, and engines that a user names, asks for the network.

Two witnesses: a network namespace without a network, whose kernel counts what found no route, and
a hook in every Python process, workers included, that writes down what asks for an address.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[2] / "src"
HOOK = """
import os, socket, sys

WATCHED = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
           "socket.gethostbyname", "socket.gethostbyaddr"}

def watch(event, arguments):
    if event not in WATCHED:
        return
    if arguments and getattr(arguments[0], "family", None) == getattr(socket, "AF_UNIX", -1):
        return
    with open(os.environ["ASKED_FOR"], "a") as log:
        log.write(f"{event} {arguments[1:] or arguments} {sys.argv}\\n")

sys.addaudithook(watch)
"""
COUNTERS = ("IpOutNoRoutes", "IpOutRequests", "Ip6OutNoRoutes", "Ip6OutRequests")
COUNT = "facesearch-counters"


@dataclass(frozen=True)
class Watched:
    """``folder`` is where commands run, with a hook in every Python and a cache of their own;
    ``alone`` is for a namespace without a network.
    """

    folder: Path
    alone: bool

    def run(self, *command: object) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        """The run, and what it tried to reach."""
        asked = self.folder / "asked-for"
        asked.write_text("")
        words = [str(word) for word in command]
        if self.alone:
            script = f'"$@"; code=$?; echo {COUNT}; cat /proc/self/net/snmp /proc/self/net/snmp6; '
            words = ["unshare", "-rn", "sh", "-c", script + "exit $code", "sh", *words]
        done = subprocess.run(
            words,
            cwd=self.folder,
            env={**os.environ, **self._variables(asked)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        done.stdout, _, counted = done.stdout.partition(COUNT)
        return done, [*asked.read_text().splitlines(), *_sent(counted)]

    def facesearch(self, *arguments: object) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        return self.run(sys.executable, "-m", "facesearch", *arguments)

    def _variables(self, asked: Path) -> dict[str, str]:
        hook = self.folder / "hook"
        hook.mkdir(exist_ok=True)
        (hook / "sitecustomize.py").write_text(HOOK)
        path = os.pathsep.join([str(hook), str(SRC)])
        home = str(self.folder / "home")
        return {"PYTHONPATH": path, "ASKED_FOR": str(asked), "FACESEARCH_HOME": home}


def _sent(counted: str) -> list[str]:
    """The kernel's counters of what was sent, or could not be for want of a route."""
    found: dict[str, int] = {}
    lines = [line.split() for line in counted.splitlines() if line.strip()]
    for line, after in itertools.pairwise(lines):
        if line[0] == "Ip:" and line[1] == "Forwarding":
            found |= {f"Ip{name}": int(n) for name, n in zip(line[1:], after[1:], strict=True)}
        elif line[0].startswith("Ip6"):
            found[line[0]] = int(line[1])
    return [f"kernel: {name} {found[name]}" for name in COUNTERS if found.get(name)]


@pytest.fixture
def photos(samples: Path, weights: Path, tmp_path: Path) -> Path:
    """Two photos of each sample person, in ``photos`` of a folder of their own."""
    for person in sorted((samples / "train").iterdir()):
        (tmp_path / "photos" / person.name).mkdir(parents=True)
        for photo in sorted(person.iterdir())[:2]:
            shutil.copy(photo, tmp_path / "photos" / person.name / photo.name)
    shutil.copy(sorted((samples / "val").rglob("*.jpg"))[0], tmp_path / "me.jpg")
    (tmp_path / "labels.csv").write_text("path,name\nmadonna_0001,Madonna\n")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "models").symlink_to(weights.parent)  # forgetting clears the other caches
    return tmp_path / "photos"


@pytest.fixture
def alone(tmp_path: Path) -> Watched:
    """A network namespace of its own, where that is allowed."""
    if shutil.which("unshare") is None:
        pytest.skip("no program unshare: a network namespace is not permitted here")
    tried = subprocess.run(["unshare", "-rn", "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"a network namespace is not permitted here: {tried.stderr.strip()}")
    return Watched(tmp_path, alone=True)


def test_both_witnesses_see_what_they_are_to_see(alone: Watched) -> None:
    ask = "import socket; socket.create_connection(('127.0.0.1', 9))"
    done, seen = alone.run(sys.executable, "-c", ask)
    assert done.returncode == 1
    assert "Network is unreachable" in done.stderr
    assert any(line.startswith("socket.getaddrinfo") for line in seen)
    assert any(line.startswith("socket.connect") for line in seen)
    assert any(line.startswith("kernel: IpOutNoRoutes") for line in seen)
    done, seen = alone.run("true")
    assert (done.returncode, seen) == (0, [])


@pytest.mark.weights
def test_every_command_works_without_a_network_and_asks_for_none(
    alone: Watched, photos: Path, record
) -> None:
    lines = (
        "index photos --jobs 2 --log run.json",
        "index photos",
        "query me.jpg -k 3",
        "query me.jpg -k 3 --json --contact-sheet sheet.png",
        "info",
        "check --deep",
        "roots",
        "label labels.csv",
        "forget photos/madonna/madonna_0002.jpg --yes",
        "check --forgotten",
        "index photos/madonna --store other.npz",
        "merge faces.npz other.npz -o both.npz",
        "split both.npz --parts 2 -o part.npz",
        "models list",
    )
    for line in lines:
        done, seen = alone.facesearch(*line.split())
        assert done.returncode == 0, (line, done.stderr)
        assert seen == [], line
        assert done.stdout, line
    record("Commands without a network", {"done, and no network asked for": len(lines)})


def test_what_needs_the_network_says_so_without(alone: Watched) -> None:
    for line in ("models pull facenet-128", "datasets pull samples", "index ."):
        done, _ = alone.facesearch(*line.split())
        assert done.returncode == 1, line
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith("facesearch: "), (line, done.stderr)
        assert "Traceback" not in done.stderr
    done, seen = alone.facesearch("index", ".", "--offline")
    assert done.returncode == 1
    assert seen == []


@pytest.mark.weights
def test_nothing_is_asked_for_where_there_is_a_network(photos: Path, tmp_path: Path) -> None:
    watched = Watched(tmp_path, alone=False)
    for line in ("index photos --jobs 2", "query me.jpg -k 3 --contact-sheet sheet.png"):
        done, seen = watched.facesearch(*line.split())
        assert done.returncode == 0, done.stderr
        assert seen == []


@pytest.mark.weights
@pytest.mark.full
def test_nor_by_tensorflow_by_an_evaluation_or_by_a_training(
    alone: Watched, photos: Path, record
) -> None:
    lines = (
        "index photos --runtime tensorflow --store tf.npz",
        "query me.jpg --runtime tensorflow --store tf.npz",
        "eval photos --all-identities --report report",
        "train small-cnn photos --epochs 1 --dry-run",
    )
    for line in lines:
        done, seen = alone.facesearch(*line.split())
        assert done.returncode == 0, (line, done.stderr)
        assert seen == [], line
    record("TensorFlow, eval and train without a network", {"done, none asked for": len(lines)})
