"""The pool gives a result for every item but those that kill a worker by themselves."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from worker_kinds import Blobs, DiesOnce, FailsToStart, Squares, StartsAtSecondTry

from facesearch.errors import DeviceError, ModelError
from facesearch.workers import Lost, PoolOptions, WorkerPool

HERE = Path(__file__).parent


def run(
    factory: Callable[[], Any], batches: Iterable[list[Any]], jobs: int = 2, **options: float
) -> list[tuple[Any, Any]]:
    with WorkerPool(factory, PoolOptions(jobs, **options)) as pool:
        return list(pool.run(batches))


def batches_of(size: int, numbers: Iterable[int]) -> list[list[int]]:
    items = list(numbers)
    return [items[start : start + size] for start in range(0, len(items), size)]


def children() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if "spawn_main" in " ".join(child.cmdline())
    ]


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    yield
    assert not children()


def test_every_item_has_its_result_in_whatever_order() -> None:
    found = run(Squares(), batches_of(7, range(50)))
    assert sorted(found) == [(number, number * number) for number in range(50)]


def test_nothing_to_do_starts_no_process() -> None:
    with WorkerPool(Squares(), PoolOptions(2)) as pool:
        assert list(pool.run([])) == []
        assert not children()


def test_no_more_processes_than_batches() -> None:
    with WorkerPool(Squares(seconds=0.3), PoolOptions(4)) as pool:
        running = [len(children()) for _ in pool.run([[1], [2]])]
    assert max(running) <= 2


def test_it_says_what_workers_run_on() -> None:
    with WorkerPool(Squares(), PoolOptions(1)) as pool:
        list(pool.run([[1]]))
        assert pool.description == f"process {children()[0].pid}"


def test_one_pool_runs_again_and_again() -> None:
    with WorkerPool(Squares(), PoolOptions(1)) as pool:
        assert list(pool.run([[1, 2]])) == [(1, 1), (2, 4)]
        assert list(pool.run([[3]])) == [(3, 9)]


@pytest.mark.parametrize(
    ("factory", "how"),
    [
        (Squares(exits=(13,)), "the process that read it died: exit code 7"),
        (Squares(segfaults=(13,)), "the process that read it died: ended by SIGSEGV"),
        (Squares(raises=(13,)), "the process that read it died: MemoryError: no room"),
        (Squares(refuses=(13,)), "the process that read it died: DeviceError: no such device here"),
    ],
)
def test_an_item_that_kills_its_worker_is_lost_and_no_other(
    factory: Squares, how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    found = dict(run(factory, batches_of(8, range(40))))
    assert found.pop(13) == Lost("worker-died", how)
    assert found == {number: number * number for number in range(40) if number != 13}
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("size", [1, 3])
def test_a_worker_that_was_ended_from_outside_costs_no_item(tmp_path: Path, size: int) -> None:
    found = run(DiesOnce(str(tmp_path / "mark")), batches_of(size, range(3)), jobs=1)
    assert sorted(found) == [(0, 0), (1, 1), (2, 2)]


def test_a_deadly_item_is_tried_twice(tmp_path: Path) -> None:
    log = tmp_path / "log"
    found = dict(run(Squares(exits=(1,), log=str(log)), [[0], [1], [2]], jobs=1))
    assert [number for number in found if isinstance(found[number], Lost)] == [1]
    assert log.read_text().split() == ["0", "1", "1", "2"]


def test_an_item_that_hangs_is_lost_and_no_other() -> None:
    started = time.monotonic()
    found = dict(run(Squares(hangs=(5,)), batches_of(8, range(20)), item_timeout=0.5))
    assert found.pop(5) == Lost("timeout", "gave no result within 0.5 seconds")
    assert found == {number: number * number for number in range(20) if number != 5}
    # Not once for each of the batch's eight items.
    assert time.monotonic() - started < 15


def test_a_result_that_the_caller_kept_waiting_is_not_late() -> None:
    found = []
    with WorkerPool(Squares(), PoolOptions(2, item_timeout=0.4)) as pool:
        for item, result in pool.run([[number] for number in range(6)]):
            time.sleep(0.6)
            found.append((item, result))
    assert sorted(found) == [(number, number * number) for number in range(6)]


def test_a_worker_that_cannot_be_set_up_says_why(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"^--device gpu: there is none here$"):
        run(FailsToStart("error", str(tmp_path / "log")), [[1]])


@pytest.mark.parametrize(
    ("how", "told"),
    [("exit", "exit code 3"), ("bug", "ImportError: no module named tensorflow")],
)
def test_three_starts_that_fail_are_enough(tmp_path: Path, how: str, told: str) -> None:
    log = tmp_path / "log"
    with pytest.raises(ModelError, match=told) as caught:
        run(FailsToStart(how, str(log)), [[1], [2]], jobs=1)
    assert "while they start" in str(caught.value)
    assert len(log.read_text().split()) == 3


def test_a_start_that_takes_too_long_counts_as_failed(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="while they start"):
        run(FailsToStart("slow", str(tmp_path / "log")), [[1]], jobs=1, start_timeout=0.5)


def test_a_failed_start_costs_nothing(tmp_path: Path) -> None:
    found = run(StartsAtSecondTry(str(tmp_path / "mark")), batches_of(2, range(6)), jobs=1)
    assert sorted(found) == [(number, number * number) for number in range(6)]


@pytest.mark.timeout(120)
def test_twenty_deaths_in_a_row_end_the_run() -> None:
    lost = []
    with (
        WorkerPool(Squares(exits=tuple(range(40))), PoolOptions(2)) as pool,
        pytest.raises(ModelError, match=r"20 worker processes in a row died.*--jobs 1"),
    ):
        lost.extend(pool.run([[number] for number in range(40)]))
    assert len(lost) == 19


def test_nineteen_deaths_in_a_row_do_not() -> None:
    deadly = tuple(range(1, 20))
    found = dict(run(Squares(exits=deadly), [[number] for number in range(21)], jobs=1))
    assert {number for number, result in found.items() if isinstance(result, Lost)} == set(deadly)
    assert found[20] == 400


def test_batches_are_taken_only_as_workers_need_them() -> None:
    taken = 0

    def source() -> Iterator[list[int]]:
        nonlocal taken
        for number in range(100):
            taken += 1
            yield [number]

    with WorkerPool(Squares(), PoolOptions(2)) as pool:
        for done, _ in enumerate(pool.run(source()), start=1):
            assert taken <= done + 4 + 1


def test_large_batches_and_results_never_wait_for_each_other() -> None:
    batches = [[bytes([number]) * 2_000_000] for number in range(12)]
    found = run(Blobs(), batches, jobs=1, item_timeout=20)
    assert [len(result) for _, result in found] == [500_000] * 12


def test_close_ends_busy_workers_at_once() -> None:
    pool = WorkerPool(Squares(hangs=(2,)), PoolOptions(2))
    results = pool.run([[1], [2], [3]])
    next(results)
    before = time.monotonic()
    pool.close()
    assert time.monotonic() - before < 3
    assert not children()


def test_ctrl_c_in_the_callers_loop_leaves_no_process() -> None:
    def loop() -> None:
        with WorkerPool(Squares(seconds=0.02), PoolOptions(2)) as pool:
            for item, _ in pool.run([[number] for number in range(1000)]):
                if item == 5:
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop()
    assert not children()


def script(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "script.py"
    head = f"import sys\nsys.path.insert(0, {str(HERE)!r})\n"
    path.write_text(head + textwrap.dedent(body))
    return path


def test_a_main_script_without_a_guard_is_not_run_again(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        from worker_kinds import Squares
        from facesearch.workers import PoolOptions, WorkerPool
        print("begins")
        with WorkerPool(Squares(), PoolOptions(2)) as pool:
            print(sorted(pool.run([[1], [2], [3]])))
        print(sys.modules["__main__"].__file__)
        """,
    )
    done = subprocess.run(
        [sys.executable, path], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == f"begins\n[(1, 1), (2, 4), (3, 9)]\n{path}\n"
    assert done.stderr == ""


@pytest.mark.parametrize("number", ["2", "-1"])
def test_workers_leave_when_their_parent_is_killed(tmp_path: Path, number: str) -> None:
    """Whether they are at work (on 2 they hang) or wait for it."""
    path = script(
        tmp_path,
        f"""
        import psutil, time
        from worker_kinds import Squares
        from facesearch.workers import PoolOptions, WorkerPool
        pool = WorkerPool(Squares(hangs=({number},)), PoolOptions(2))
        results = pool.run([[1], [2], [3]])
        next(results)
        print(*(child.pid for child in psutil.Process().children()), flush=True)
        time.sleep(60)
        """,
    )
    with subprocess.Popen([sys.executable, path], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) >= 2  # workers, and Python's own resource tracker
        parent.send_signal(signal.SIGKILL)
    until = time.monotonic() + 8
    while any(map(psutil.pid_exists, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


def test_ctrl_c_in_a_terminal_shows_no_traceback_of_workers(tmp_path: Path) -> None:
    """It goes to the whole group of processes, also to those that are just being started."""
    path = script(
        tmp_path,
        """
        from worker_kinds import Squares
        from facesearch.workers import PoolOptions, WorkerPool
        try:
            with WorkerPool(Squares(seconds=0.01), PoolOptions(2)) as pool:
                print("go", flush=True)
                list(pool.run([[number] for number in range(10_000)]))
        except KeyboardInterrupt:
            sys.exit(130)
        """,
    )
    for delay in (0.05, 0.15, 0.3, 0.8):
        with subprocess.Popen(
            [sys.executable, path],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as group:
            assert group.stdout is not None
            group.stdout.readline()
            time.sleep(delay)
            os.killpg(group.pid, signal.SIGINT)
            _, errors = group.communicate(timeout=20)
        assert (group.returncode, errors) == (130, "")


def test_options_and_losses_travel_between_processes() -> None:
    for thing in (PoolOptions(2), Lost("timeout", "took long")):
        assert pickle.loads(pickle.dumps(thing)) == thing
