"""Runs on a Ray cluster: the same store as without one, whatever is killed meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from facesearch.errors import ClusterError, FacesearchError, InterruptedRunError
from facesearch.indexing import RunState
from photo_library import Library, arrays_of

SCRIPT = Path(__file__).with_name("cluster_run.py")


def furnish(library: Library) -> None:
    """Photos of all kinds, among them one that kills whoever reads it and one that never ends."""
    library.add_many(150)
    for number in range(4):
        library.add(f"copies/{number}.jpg", "the same bytes")
        library.add(f"broken/{number}.jpg", f"broken {number % 2}")
        (library.photos / f"empty{number}.jpg").touch()
    library.add("deadly.jpg", f"deadly {'x' * 500}")
    library.add("hanging.jpg", f"hanging {'x' * 600}")


@pytest.mark.timeout(240)
def test_two_readers_are_killed(busy_library: Library, machines) -> None:
    library = busy_library
    furnish(library)
    library.seconds = 0.03
    plain = library.home / "plain.npz"
    library.index(store=plain, item_timeout=1)
    killed: list[int] = []

    def kill(state: RunState) -> None:
        if state.done > (1, 60, 10**9)[len(killed)]:
            reader = next(one for one in machines.readers() if one.pid not in killed)
            killed.append(reader.pid)
            reader.kill()

    library.hooks["on_progress"] = kill
    summary = library.index(cluster="auto", item_timeout=1)
    assert len(killed) == 2
    assert summary.device == "no network; Ray, 1 machine"
    assert summary.seen == summary.new + summary.copies == 164
    assert summary.copies == 3
    reasons = sorted(failure.reason for failure in summary.failures)
    assert reasons == ["empty"] * 4 + ["timeout"] + ["truncated"] * 4 + ["worker-died"]
    assert len(library.names()) == len(set(library.names())) == 164
    assert arrays_of(library.path) == arrays_of(plain)
    assert library.problems() == []


@pytest.mark.full
@pytest.mark.timeout(240)
def test_the_run_is_killed_and_goes_on(busy_library: Library, machines) -> None:
    library = busy_library
    library.add_many(160)
    with run_beside(library, "auto") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "committed\n"
        time.sleep(0.5)
        process.kill()
    there = len(library.store.files)
    assert 0 < there < 160
    assert library.store.progress is not None
    library.hooks.clear()
    summary = library.index(cluster="auto")
    assert (summary.unchanged, summary.new) == (there, 160 - there)
    assert library.store.content_digest() == library.digest_of_a_fresh_store()
    assert not list(library.home.glob("*.parts"))


@pytest.mark.timeout(240)
def test_a_ray_of_ones_own(busy_library: Library, machines, monkeypatch, capfd) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "")
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.delenv("RAY_AUTH_MODE")
    monkeypatch.delenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER")
    library = busy_library
    library.add_many(60)
    listening: set[str] = set()
    started: set[psutil.Process] = set()

    def look(state: RunState) -> None:
        if state.done == 30:
            started.update(descendants())
            listening.update(addresses_of(started))

    library.hooks["on_progress"] = look
    before = descendants()
    summary = library.index(cluster="local", jobs=2)
    assert (summary.new, summary.failed) == (60, 0)
    assert library.store.content_digest() == library.digest_of_a_fresh_store()
    assert len(started - before) > 5
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1"}
    assert listening, "Ray does listen"
    assert "".join(capfd.readouterr()) == ""
    # What watches over the others is the last to leave, a moment after the run.
    psutil.wait_procs(started - before, timeout=60)
    assert not [one for one in started - before if is_left(one)]
    home = Path(os.environ["HOME"])
    assert [path.name for path in home.iterdir()] == ["compiled"], "no token, nothing else"
    assert not list(Path(tempfile.gettempdir()).glob("facesearch-ray-*"))


@pytest.mark.full
@pytest.mark.timeout(120)
def test_workers_that_cannot_be_set_up(busy_library: Library, machines) -> None:
    """What a worker refuses is told once, in its own words and with its machine."""
    library = busy_library
    library.add_many(5)
    networks = library.networks

    def refusing(spec):
        return networks(spec).__class__(spec, refuses=True)

    library.hooks["factory"] = refusing
    with pytest.raises(FacesearchError, match="--device gpu: there is none here; leave the option"):
        library.index(cluster="auto")


@pytest.mark.full
@pytest.mark.timeout(300)
def test_from_elsewhere(busy_library: Library, machines) -> None:
    library = busy_library
    furnish(library)
    library.index(cluster=machines.for_clients, item_timeout=1)
    assert library.store.content_digest() == library.digest_of_a_fresh_store(item_timeout=1)


@pytest.mark.full
def test_nobody_answers(busy_library: Library, machines, monkeypatch) -> None:
    library = busy_library
    library.add_many(5)
    with pytest.raises(ClusterError, match=r"^ray://127.0.0.1:9: no answer .* at 127.0.0.1:9\?$"):
        library.index(cluster="ray://127.0.0.1:9")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    with pytest.raises(ClusterError, match=r"^127.0.0.1:9: no answer .* at 127.0.0.1:9\?$"):
        library.index(cluster="auto")


@pytest.mark.full
@pytest.mark.timeout(300)
def test_the_conductor_is_killed(busy_library: Library, machines) -> None:
    library = busy_library
    library.add_many(150)
    library.seconds = 0.03
    killed: list[int] = []

    def kill(state: RunState) -> None:
        if state.done and not killed:
            conductor = machines.conductors()[0]
            killed.append(conductor.pid)
            conductor.kill()

    library.hooks["on_progress"] = kill
    assert library.index(cluster="auto").new == 150
    assert killed
    assert library.store.content_digest() == library.digest_of_a_fresh_store()


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("victim", ["raylet", "gcs_server"])
def test_ray_itself_is_killed(busy_library: Library, machines, monkeypatch, victim: str) -> None:
    """A Ray of one's own that breaks is started again, for what is left."""
    monkeypatch.setenv("RAY_ADDRESS", "")
    library = busy_library
    library.add_many(150)
    library.seconds = 0.03
    killed: list[int] = []

    def kill(state: RunState) -> None:
        if state.done and not killed:
            own = descendants() - descendants(machines.process.pid)
            found = next(one for one in own if one.name() == victim)
            killed.append(found.pid)
            found.kill()

    library.hooks["on_progress"] = kill
    assert library.index(cluster="local").new == 150
    assert library.store.content_digest() == library.digest_of_a_fresh_store()


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_leaves_no_process(busy_library: Library, machines, how: int) -> None:
    library = busy_library
    library.add_many(400)
    with run_beside(library, "local", RAY_ADDRESS="") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "committed\n"
        started = descendants(process.pid)
        time.sleep(0.5)
        if how == signal.SIGINT:
            os.killpg(process.pid, how)  # as a terminal does
        else:
            process.kill()
        process.wait(60)
    until = time.monotonic() + 60
    while time.monotonic() < until and any(is_left(one) for one in started):
        time.sleep(0.2)
    assert not [one.cmdline() for one in started if is_left(one)]
    assert 0 < len(library.store.files) < 400
    library.hooks.clear()
    library.index()
    assert library.store.content_digest() == library.digest_of_a_fresh_store()


@pytest.mark.full
@pytest.mark.timeout(300)
def test_ctrl_c(busy_library: Library, machines) -> None:
    library = busy_library
    library.add_many(150)

    def stop(state: RunState) -> None:
        if state.done == 40:
            raise KeyboardInterrupt

    library.hooks["on_progress"] = stop
    with pytest.raises(InterruptedRunError, match="stopped at 40 of 150 photos; they are kept"):
        library.index(cluster="auto")
    until = time.monotonic() + 30
    while machines.readers() and time.monotonic() < until:
        time.sleep(0.2)
    assert not machines.readers(), "what the cluster was doing is dropped"
    assert len(library.store.files) == 40


def run_beside(library: Library, address: str, **environment: str) -> subprocess.Popen[str]:
    """The same run in a process, and process group, of its own."""
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(library.home), address],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **environment},
        start_new_session=True,
    )


def descendants(pid: int | None = None) -> set[psutil.Process]:
    return set(psutil.Process(pid).children(recursive=True))


def is_left(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def addresses_of(processes: set[psutil.Process]) -> set[str]:
    """Where these processes listen for others."""
    found = set()
    for process in processes:
        try:
            connections = process.net_connections("tcp")
        except psutil.Error:
            continue
        found |= {
            str(connection.laddr.ip)
            for connection in connections
            if connection.status == psutil.CONN_LISTEN
        }
    return found
