from itertools import cycle

import pytest
from benchmarks.ci import Check, judge, judge_all


def check(first, second, at_most=1.0):
    one, two = iter(first), cycle(second)
    return Check("name", lambda: next(one), lambda: next(two), at_most)


def test_within_the_limit_needs_no_control():
    verdict = judge(check([1.0, 1.1, 0.9], [2.0]), 3)
    assert not verdict.failed
    assert verdict.runs == 1
    assert verdict.ratio == 0.5


def test_a_median_beyond_the_limit_that_noise_explains_is_no_failure():
    verdict = judge(check([1.0, 3.0, 3.0], [1.0, 2.0, 1.0]), 3)
    assert verdict.ratio == 3.0
    assert not verdict.failed


def test_a_failure_is_one_that_the_control_repeats():
    verdict = judge(check([3.0] * 6, [1.0]), 3)
    assert verdict.failed
    assert verdict.runs == 2
    assert "FAILED" in verdict.line()


def test_what_the_control_does_not_repeat_is_no_failure():
    verdict = judge(check([3.0] * 3 + [1.0] * 3, [1.0]), 3)
    assert not verdict.failed
    assert verdict.runs == 2
    assert "in the control run" in verdict.line()


@pytest.mark.parametrize("slower", [0.01, 1.0, 100.0])
def test_a_slower_machine_changes_nothing(slower):
    good = judge(check([slower * 1.0] * 3, [slower * 2.0]), 3)
    bad = judge(check([slower * 3.0] * 6, [slower * 1.0]), 3)
    assert (good.failed, bad.failed) == (False, True)


def test_every_check_is_said_though_one_fails():
    said = []
    assert not judge_all([check([9.0] * 6, [1.0]), check([1.0] * 3, [1.0])], said.append)
    assert [line[:6].strip() for line in said] == ["FAILED", "ok"]
    assert judge_all([check([1.0] * 3, [1.0])], said.append)
