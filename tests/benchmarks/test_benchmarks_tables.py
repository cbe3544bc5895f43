from dataclasses import replace

import pytest
from benchmarks.results import Figure, Measured, Ratio
from benchmarks.tables import changes, comparison, markdown, number, table
from test_benchmarks_results import run_of


def with_samples(*samples: float, better: str = "less", unit: str = "s"):
    return run_of(index=Measured((Figure("time", "ours", unit, samples, better),)))


@pytest.mark.parametrize(
    ("now", "before", "better", "verdict"),
    [
        ((1.0, 2.0), (3.0, 4.0), "less", "better"),
        ((1.0, 2.0), (3.0, 4.0), "more", "worse"),
        ((5.0, 6.0), (3.0, 4.0), "less", "worse"),
        ((5.0, 6.0), (3.0, 4.0), "more", "better"),
        ((5.0, 6.0), (3.0, 4.0), "neither", "changed"),
        ((1.0, 3.5), (3.0, 4.0), "less", "within noise"),
        ((3.0, 3.0), (3.0, 3.0), "less", "within noise"),
        ((1.0, 9.0), (3.0, 4.0), "less", "within noise"),
    ],
)
def test_a_change_is_one_where_no_samples_overlap(now, before, better, verdict):
    (change,) = changes(with_samples(*now, better=better), with_samples(*before, better=better))
    assert change.verdict == verdict


def test_only_what_both_runs_measured_alike_is_compared():
    assert not changes(with_samples(1.0), run_of())
    assert not changes(with_samples(1.0, unit="ms"), with_samples(1.0, unit="s"))


def test_a_comparison_gives_the_ratio_now_over_before():
    text = comparison(with_samples(1.0), with_samples(4.0))
    assert "| 0.25 | better |" in text
    assert "another one" not in text


def test_a_comparison_with_nothing_before_has_no_ratio():
    assert "|  | worse |" in comparison(with_samples(1.0), with_samples(0.0))


def test_a_comparison_across_machines_says_so():
    before = replace(with_samples(4.0), machine={"processor": "Q"})
    assert "another one" in comparison(with_samples(1.0), before)


def test_the_tables_say_what_was_wanted_and_whether_it_was_reached():
    found = Measured(
        (Figure("time", "a|b", "s", (1.0, 2.0, 3.0)),),
        (Ratio("good", (31.0,), at_least=30.0), Ratio("bad", (1.4,), at_most=1.3),
         Ratio("plain", (7.0,))),
    )  # fmt: skip
    text = markdown(replace(run_of(index=found), failures={"large": "no photos"}))
    assert "| index | good | at least 30 | 31.0 | yes |" in text
    assert "| index | bad | at most 1.3 | 1.40 | no |" in text
    assert "| plain | 7.00 |" in text
    assert "| time | a\\|b | 2.00 | s | 1.00 .. 3.00 |" in text
    assert "- large: no photos" in text
    wanted = text.partition("## What was wanted")[2].partition("##")[0]
    assert "plain" not in wanted


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.0123, "0.012"), (1.234, "1.23"), (-1.234, "-1.23"), (12.34, "12.3"),
     (123.4, "123"), (1_000_000, "1,000,000")],
)  # fmt: skip
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


def test_a_table_has_as_many_columns_as_its_head():
    lines = table(("a", "b"), [("1", "2")]).splitlines()
    assert lines == ["| a | b |", "| --- | --- |", "| 1 | 2 |"]
