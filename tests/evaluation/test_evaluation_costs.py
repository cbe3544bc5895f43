"""What a run takes, measured."""

import time

import numpy as np
import pytest

from facesearch.evaluation import costs
from facesearch.systems import find_system


def test_peak_memory_sees_what_was_there_for_a_moment(monkeypatch):
    monkeypatch.setattr(costs, "_SECONDS_BETWEEN", 0.01)
    peak = costs.PeakMemory()
    with peak.watched():
        time.sleep(0.1)
        before = peak.bytes
        block = np.ones(10_000_000)  # 80 MB
        time.sleep(0.2)
        del block
    assert before > 1_000_000
    assert peak.bytes - before > 60_000_000


def test_pages_of_mapped_files_are_not_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(costs, "_SECONDS_BETWEEN", 0.01)
    np.save(tmp_path / "rows.npy", np.ones(10_000_000))
    peak = costs.PeakMemory()
    with peak.watched():
        while not peak.bytes:
            time.sleep(0.01)
        before = peak.bytes
        mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
        assert float(mapped.sum()) == 10_000_000
        time.sleep(0.2)
    assert peak.bytes - before < 40_000_000


@pytest.mark.parametrize("name", ["facenet", "efficientnet-v2l"])
def test_a_forecast_grows_with_the_work(name):
    system = find_system(name)
    none = costs.forecast(system, 1000, costs.Work(0, 0), 2)
    some = costs.forecast(system, 1000, costs.Work(1000, 0), 2)
    more = costs.forecast(system, 1000, costs.Work(1000, 500), 2)
    assert none.seconds == 0 < some.seconds < more.seconds
    assert none.memory_bytes < some.memory_bytes
    assert some.disk_bytes > 1000 * 4 * system.recipe.extractor.dim


def test_a_cost_is_kept_beside_the_store(tmp_path):
    store = tmp_path / "faces.npz"
    assert costs.kept_cost(store) is None
    costs.keep_cost(store, costs.BuildCost(12.5, 99))
    assert costs.kept_cost(store) == costs.BuildCost(12.5, 99)
    (tmp_path / "faces.npz.cost.json").write_text("{")
    assert costs.kept_cost(store) is None
