"""The parts of a run on Ray, without Ray: what a reader does, and how the run keeps count."""

from __future__ import annotations

import dataclasses
import os
import pickle
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesearch.clusters import ClusterJob
from facesearch.clusters import ray as room
from facesearch.clusters.ray import leftovers
from facesearch.clusters.ray.driver import Answer, Call
from facesearch.clusters.ray.reader import COLUMN, Finished, Reader, ReaderSpec, table_of
from facesearch.clusters.ray.session import _room, _share, _why
from facesearch.errors import ClusterError, FacesearchError, WeightsError
from facesearch.index_options import default_recipe
from facesearch.processing import PhotoTask, ProcessSpec
from facesearch.runtimes import RuntimeOptions
from facesearch.workers import Lost
from fake_networks import START, FakeNetworks


def nothing() -> None: ...


def no_weights() -> None:
    raise WeightsError("no weights for facenet-128; run: facesearch models pull facenet-128")


@pytest.fixture
def networks() -> FakeNetworks:
    return FakeNetworks(ProcessSpec(default_recipe("facenet-128"), 10**8, RuntimeOptions()))


def outcome(spec: ReaderSpec, tasks: list[PhotoTask]) -> Finished | FacesearchError:
    reader = Reader(spec)
    table = reader(table_of([pickle.dumps([tasks])]))
    (row,) = table[COLUMN].to_pylist()
    found: Finished | FacesearchError = pickle.loads(row)
    return found


def write(folder: Path, *texts: str) -> list[PhotoTask]:
    tasks = []
    for number, text in enumerate(texts):
        path = folder / f"{number}.jpg"
        path.write_bytes(START + text.encode())
        tasks.append(PhotoTask(number, str(path)))
    return tasks


def test_a_reader_names_what_kills_its_process(tmp_path, networks) -> None:
    tasks = write(tmp_path, "one", "deadly", "hanging", "four")
    found = outcome(ReaderSpec(networks, nothing, item_timeout=1), tasks)
    assert isinstance(found, Finished)
    reasons = {
        number: result.reason if isinstance(result, Lost) else ""
        for number, result in found.results
    }
    assert reasons == {0: "", 1: "worker-died", 2: "timeout", 3: ""}
    assert found.device == "no network"
    assert found.hidden == ()


def test_a_reader_that_cannot_be_set_up_says_why(tmp_path, networks) -> None:
    tasks = write(tmp_path, "one")
    for spec, why in [
        (ReaderSpec(networks, no_weights, 9.0), "no weights for facenet-128; run: "),
        (ReaderSpec(networks, nothing, 9.0, version="0.0"), "the run's is 0.0; install the same"),
        (ReaderSpec(dataclasses.replace(networks, refuses=True), nothing, 9.0), "--device gpu"),
    ]:
        found = outcome(spec, tasks)
        assert isinstance(found, ClusterError)
        assert why in str(found)
        assert str(found).startswith(f"{socket.gethostname()}: ")


def test_a_folder_that_a_machine_does_not_show(tmp_path, networks) -> None:
    spec = ReaderSpec(networks, nothing, item_timeout=9)
    (tmp_path / "empty").mkdir()
    (tmp_path / "there").mkdir()
    write(tmp_path / "there", "one")
    names = ["away/1.jpg", "empty/1.jpg", "there/gone.jpg", "there/0.jpg"]
    tasks = [PhotoTask(number, str(tmp_path / name)) for number, name in enumerate(names)]
    found = outcome(spec, tasks)
    assert isinstance(found, Finished)
    assert found.hidden == (0, 1), "a photo that went while its folder stays is just gone"


class Driver:
    """In the place of the process that speaks to Ray: answers from a list of courses, each a list
    of answers; what is asked to be read in each is noted.
    """

    def __init__(self, courses: list[list[Answer | Lost]]) -> None:
        self.courses = courses
        self.asked: list[list[int]] = []
        self.closed = 0
        self.description = ""

    def run(self, calls: Iterator[list[Call]]) -> Iterator[tuple[Call, Answer | Lost]]:
        answers: Iterator[Answer | Lost] = iter(())
        for (call,) in calls:
            if call.what == "add":
                tasks = [
                    task for block in call.blocks for batch in pickle.loads(block) for task in batch
                ]
                self.asked.append([task.number for task in tasks])
            if call.what == "begin":
                answers = iter(self.courses.pop(0))
            yield call, next(answers) if call.what == "ready" else Answer()

    def close(self) -> None:
        self.closed += 1


def row(*numbers: int, hidden: tuple[int, ...] = ()) -> bytes:
    results = tuple((number, Lost("timeout", "slow")) for number in numbers)
    return pickle.dumps(Finished(results, "machine", "CPU", hidden))


def run_with(
    monkeypatch, courses: list[list[Answer | Lost]], tasks: list[PhotoTask], messages=None
) -> tuple[list[int], Driver]:
    driver = Driver(courses)
    monkeypatch.setattr(room, "WorkerPool", lambda *_: driver)
    tell = nothing if messages is None else messages.append
    job = ClusterJob(FakeNetworks, nothing, nothing, on_message=tell)  # type: ignore[arg-type]
    with room.RayPool("ray://there:1", job) as pool:
        batches = [tasks[start : start + 3] for start in range(0, len(tasks), 3)]
        return [task.number for task, _ in pool.run(batches)], driver


def tasks_of(count: int) -> list[PhotoTask]:
    return [PhotoTask(number, f"/there/{number}.jpg") for number in range(count)]


def test_no_result_is_taken_twice_and_what_is_left_is_asked_again(monkeypatch) -> None:
    courses: list[list[Answer | Lost]] = [
        [Answer(rows=(row(0, 1, 2),)), Answer(rows=(row(1, 4),)), Lost("worker-died", "killed")],
        [Answer(rows=(row(3),)), Answer(ended="no machine of the cluster is left")],
        [Answer(), Answer(rows=(row(5, 0), row(6))), Answer(done=True)],
    ]
    got, driver = run_with(monkeypatch, courses, tasks_of(7))
    assert got == [0, 1, 2, 4, 3, 5, 6]
    assert driver.asked == [[0, 1, 2, 3, 4, 5, 6], [3, 5, 6], [5, 6]]
    assert driver.closed == 3


def test_a_cluster_that_only_ends_is_given_up(monkeypatch) -> None:
    courses: list[list[Answer | Lost]] = [[Lost("worker-died", "ended by SIGKILL")]] * 2
    courses += [[Answer(done=True)]]  # it says that it is through, and has brought nothing
    with pytest.raises(ClusterError, match=r"end again and again.*--jobs"):
        run_with(monkeypatch, courses, tasks_of(4))


def test_what_would_be_no_better_another_time_ends_the_run(monkeypatch) -> None:
    error = ClusterError("machine: no weights; run: facesearch models pull")
    for answer in (Answer(error=error), Answer(rows=(pickle.dumps(error),))):
        with pytest.raises(ClusterError, match="machine: no weights"):
            run_with(monkeypatch, [[answer]], tasks_of(4))


def test_a_machine_without_the_folder_ends_the_run(monkeypatch, tmp_path) -> None:
    tasks = write(tmp_path, "one")
    with pytest.raises(ClusterError, match=r"^machine: does not show .*; mount the folder at"):
        run_with(monkeypatch, [[Answer(rows=(row(0, hidden=(0,)),))]], tasks)
    gone = tasks_of(1)
    courses: list[list[Answer | Lost]] = [[Answer(rows=(row(0, hidden=(0,)),)), Answer(done=True)]]
    assert run_with(monkeypatch, courses, gone)[0] == [0], "nor is it here: it is gone"


def test_a_full_cluster_is_told_of(monkeypatch) -> None:
    messages: list[str] = []
    courses: list[list[Answer | Lost]] = [
        [Answer(note="free there: 0 processors"), Answer(rows=(row(0),)), Answer(done=True)]
    ]
    run_with(monkeypatch, courses, tasks_of(1), messages)
    assert messages == ["free there: 0 processors"]


@given(
    sizes=st.lists(st.integers(1, 16), max_size=60),
    done=st.sets(st.integers(0, 400)),
    readers=st.integers(1, 300),
)
def test_blocks_hold_what_is_left_once(sizes: list[int], done: set[int], readers: int) -> None:
    numbers = iter(range(10**6))
    batches = [[PhotoTask(next(numbers), "x") for _ in range(size)] for size in sizes]
    left = room._Left(batches)
    for number in done:
        left.tasks.pop(number, None)
    blocks = [pickle.loads(block) for block in left.blocks(readers)]
    asked = Counter(task.number for block in blocks for batch in block for task in batch)
    assert asked == Counter(dict.fromkeys(set(range(sum(sizes))) - done, 1))
    assert all(0 < len(block) <= 4 for block in blocks)
    assert all(batch for block in blocks for batch in block)


@pytest.mark.parametrize(
    ("gpus", "readers", "share"), [(0, 4, 0), (4, 4, 1), (8, 4, 1), (2, 3, 0.5), (1, 4, 0.25)]
)
def test_readers_share_gpus(gpus: float, readers: int, share: float) -> None:
    assert _share(gpus, readers) == share


def test_room_for_readers() -> None:
    nodes = [
        {"CPU": 4.0, "memory": 3e9, "GPU": 1.0},
        {"CPU": 2.0, "memory": 64e9},
        {"memory": 64e9},
    ]
    assert _room(nodes, "CPU", 10**9) == 3 + 2
    assert _room(nodes, "GPU", 10**9) == 1


@pytest.mark.parametrize(
    ("address", "text", "line"),
    [
        ("ray://h:1", "ray client connection timeout", "is a Ray cluster running at h:1?"),
        ("10.0.0.1:1", "Version mismatch: The\ncluster was started with:", "install the same Ray"),
        ("ray://h:1", "StatusCode.UNAUTHENTICATED", "asks for a token; put it into RAY_AUTH_TOKEN"),
        ("local", "Failed to start GCS", "does not start on this machine"),
    ],
)
def test_what_is_wrong_with_a_cluster_in_one_line(address: str, text: str, line: str) -> None:
    message = _why(address, RuntimeError(text))
    assert line in message
    assert "\n" not in message


def test_where_a_running_cluster_is_looked_for(monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    assert room._running_cluster() == ""
    (tmp_path / "ray").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        begun = f"127.0.0.1:{listening.getsockname()[1]}"
        (tmp_path / "ray" / "ray_current_cluster").write_text(f"{begun}\n")
        assert room._running_cluster() == begun
        monkeypatch.setenv("RAY_ADDRESS", "auto")
        assert room._running_cluster() == begun
    assert room._running_cluster() == ""  # what a cluster that was killed has left
    monkeypatch.setenv("RAY_ADDRESS", "ray://there:10001")
    assert room._running_cluster() == "ray://there:10001"


def test_what_killed_runs_left_is_removed(tmp_path) -> None:
    ours = tmp_path / f"facesearch-ray-{os.getpid()}-x"
    left, foreign = tmp_path / "facesearch-ray-999999999-x", tmp_path / "facesearch-ray-notes-x"
    for folder in (ours, left, foreign):
        folder.mkdir()
    leftovers._sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted((ours, foreign))
