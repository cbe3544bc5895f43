import os
import sys
from pathlib import Path

import pytest
from benchmarks.processes import BenchmarkError, Surroundings, run

OPENED = Path(__file__).resolve().parents[2] / "benchmarks" / "sides" / "opened"
TAKES_MEMORY = """
import subprocess, sys, time
hold = bytearray(b"x") * int(sys.argv[1])
if len(sys.argv) > 2:
    subprocess.run([sys.executable, "-c", {0!r}, sys.argv[2]], check=True)
time.sleep(0.8)
"""


@pytest.fixture
def here(tmp_path):
    return Surroundings(tmp_path, os.environ)


def test_output_and_time_come_back(here):
    done = run([sys.executable, "-c", "import time; time.sleep(0.2); print('said')"], here)
    assert done.output == "said\n"
    assert done.seconds >= 0.2
    assert done.peak_bytes == 0


def test_memory_is_that_of_all_processes_together(here):
    child = "import sys, time; hold = bytearray(b'x') * int(sys.argv[1]); time.sleep(0.8)"
    watched = Surroundings(here.folder, here.environment, watched=True)
    program = TAKES_MEMORY.format(child)
    command = [sys.executable, "-c", program, "60000000"]
    alone = run(command, watched).peak_bytes
    both = run([*command, "90000000"], watched).peak_bytes
    assert alone > 60_000_000
    assert both > alone + 85_000_000


def test_a_failure_is_told_in_one_line(here):
    with pytest.raises(BenchmarkError) as raised:
        run([sys.executable, "-c", "raise SystemExit('went wrong')"], here)
    assert "exit code 1: went wrong" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_program_that_is_not_there_is_named(here):
    with pytest.raises(BenchmarkError, match="no-such-program"):
        run(["no-such-program"], here)


@pytest.mark.parametrize("how", ["open(p).read()", "import os; os.close(os.open(p, os.O_RDONLY))"])
def test_opened_files_are_counted_even_where_a_process_ends_at_once(tmp_path, how):
    log, folder = tmp_path / "log", tmp_path / "photos"
    log.mkdir()
    folder.mkdir()
    (folder / "ö.txt").write_text("a")
    (tmp_path / "photos-other").write_text("b")
    environment = {
        **os.environ,
        "PYTHONPATH": str(OPENED),
        "BENCHMARK_OPENED_BELOW": str(folder),
        "BENCHMARK_OPENED_LOG": str(log),
    }
    program = f"p = {str(folder / 'ö.txt')!r}; {how}; open({str(tmp_path / 'photos-other')!r}); "
    program += "import os; os._exit(0)"
    run([sys.executable, "-c", program], Surroundings(tmp_path, environment))
    (noted,) = log.iterdir()
    assert noted.read_text(encoding="utf-8").splitlines() == [str(folder / "ö.txt")]
    noted.unlink()
    listing = f"import os; list(os.scandir({str(folder)!r})); os.stat({str(folder / 'ö.txt')!r})"
    run([sys.executable, "-c", listing], Surroundings(tmp_path, environment))
    assert not list(log.iterdir())
