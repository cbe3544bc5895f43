import json
import math
from dataclasses import replace

import pytest
from benchmarks.processes import BenchmarkError
from benchmarks.results import (
    Figure,
    Measured,
    Ratio,
    Run,
    beyond_start,
    interleaved,
    ratios,
    read_run,
)
from hypothesis import given
from hypothesis import strategies as st

numbers = st.floats(-1e9, 1e9, allow_nan=False)


def run_of(**measured: Measured) -> Run:
    machine = {"processor": "P", "cores": 2, "memory_gb": 8.0, "system": "S"}
    return Run("2026-11-21T10:00:00+00:00", machine, {"python": "3.11"}, {"repeats": 3}, measured)


@given(st.lists(numbers, min_size=1), st.lists(numbers, min_size=1))
def test_a_run_is_read_as_it_was_written(tmp_path_factory, first, second):
    figure = Figure("speed", "ours", "photos/s", tuple(first), "more")
    ratio = Ratio("ours over theirs", tuple(second), at_least=2.0)
    run = replace(run_of(index=Measured((figure,), (ratio,), {"photos": 3})), failures={"x": "y"})
    file = tmp_path_factory.mktemp("run") / "run.json"
    file.write_text(run.as_json())
    assert read_run(file) == run


def test_the_file_has_every_sample_the_median_machine_and_versions():
    plain = json.loads(run_of(a=Measured((Figure("n", "s", "s", (3.0, 1.0, 2.5)),))).as_json())
    assert set(plain) == {"format", "made", "machine", "versions", "options", "measured",
                          "failures"}  # fmt: skip
    (figure,) = plain["measured"]["a"]["figures"]
    assert figure == {"name": "n", "side": "s", "unit": "s", "samples": [3.0, 1.0, 2.5],
                      "better": "less", "median": 2.5}  # fmt: skip


@pytest.mark.parametrize("samples", [(), (1.0, math.nan), (math.inf,)])
@pytest.mark.parametrize("make", [lambda s: Figure("n", "s", "s", s), lambda s: Ratio("n", s)])
def test_what_has_no_median_is_refused(samples, make):
    with pytest.raises(BenchmarkError):
        make(samples)


def test_sides_take_turns():
    order = []
    found = interleaved({"a": lambda: order.append("a") or len(order),
                         "b": lambda: order.append("b") or len(order)}, 3)  # fmt: skip
    assert order == ["a", "b"] * 3
    assert found == {"a": (1, 3, 5), "b": (2, 4, 6)}


def test_ratios_are_of_the_same_round():
    assert ratios([10.0, 30.0], [5.0, 10.0]) == (2.0, 3.0)
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


def test_what_is_beyond_start_up_must_be_something():
    assert beyond_start(5.0, 2.0) == 3.0
    with pytest.raises(BenchmarkError, match="measure more photos"):
        beyond_start(2.0, 2.0)


@pytest.mark.parametrize(
    ("low", "high", "reached"),
    [(None, None, None), (2.0, None, True), (2.1, None, False), (None, 2.0, True),
     (None, 1.9, False), (1.0, 3.0, True), (2.5, 3.0, False)],
)  # fmt: skip
def test_the_median_decides_whether_a_ratio_is_reached(low, high, reached):
    assert Ratio("n", (2.0, 99.0, 1.0), low, high).reached is reached


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 99, "measured": {}}', '{"format": 1, "measured": 3}']
)
def test_other_files_are_refused_by_name(tmp_path, text):
    file = tmp_path / "other.json"
    file.write_text(text)
    with pytest.raises(BenchmarkError, match=r"other\.json"):
        read_run(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BenchmarkError, match=r"none\.json"):
        read_run(tmp_path / "none.json")
