"""The arithmetic of the measurements, over a bench whose commands take known times."""

from pathlib import Path

import pytest
from benchmarks.measurements import MEASUREMENTS
from benchmarks.measurements.cold_query import IMPORT, measure_cold_query
from benchmarks.measurements.index import measure_index
from benchmarks.measurements.peers import Built, _speedups
from benchmarks.measurements.runtimes import measure_runtimes
from benchmarks.peers import PEERS
from benchmarks.processes import BenchmarkError, Finished
from benchmarks.workbench import Options, Workbench

START, A_PHOTO = 2.0, 0.01


class KnownTimes(Workbench):
    """Every photo costs the same, TensorFlow's four times as much; nothing is run."""

    jobs = 2
    helps = "--backend --runtime"

    def __init__(self, tmp_path: Path, photos: int = 3_000) -> None:
        super().__init__(Options(tmp_path, repeats=2), tmp_path)
        self.photos = [Path(f"{number}.jpg") for number in range(photos)]
        self.store = tmp_path / "store.npz"
        self.sizes: dict[Path, int] = {}

    def folder_of(self, photos):
        folder = self.new("photos")
        self.sizes[folder] = len(photos)
        return folder

    def index(self, folder, store, *options):
        count = self.sizes[folder]
        slower = 4 if "tensorflow" in options else 1
        done = Finished(START + slower * A_PHOTO * count, 400_000_000 + count, "")
        facts = {"seen": count, "faces": count + 1, "without_face": 0, "failures": []}
        return facts, done

    def facesearch(self, *arguments, watched=False):
        if "--help" in arguments:
            return Finished(0.1, 0, self.helps)
        return Finished(0.3 if "brute" in arguments else 1.2, 5_000_000 if watched else 0, "")

    def python(self, *arguments, watched=False):
        return Finished(1.0, 0, "")


def ratio_of(measured, start):
    (found,) = [ratio for ratio in measured.ratios if ratio.name.startswith(start)]
    return found


def test_indexing_is_given_with_start_up_and_without(tmp_path):
    found = measure_index(KnownTimes(tmp_path))
    few, everything = "facesearch, 1,000 photos", "facesearch, 3,000 photos"
    assert found.figure("indexing", everything).median == pytest.approx(3_000 / 32)
    for side in (few, everything):
        assert found.figure("indexing without start-up", side).median == pytest.approx(100)
    assert found.figure("start-up", "facesearch").median == pytest.approx(START + 2 * A_PHOTO)
    assert found.figure("peak memory", everything).median == pytest.approx(400.003)
    cost = ratio_of(found, "cost of a photo")
    assert cost.median == pytest.approx(1.0)
    assert cost.reached
    assert len(cost.samples) == 2
    assert found.facts["faces"] == 3_001


def test_a_cold_query_is_compared_with_the_import_of_the_same_rounds(tmp_path):
    found = measure_cold_query(KnownTimes(tmp_path))
    assert found.figure("cold query", IMPORT).median == 1.0
    assert ratio_of(found, "facesearch query over").median == pytest.approx(1.2)
    brute = ratio_of(found, "facesearch query, brute over")
    assert (brute.median, brute.at_most, brute.reached) == (pytest.approx(0.3), 0.5, True)


def test_what_the_program_has_not_is_said_and_not_measured(tmp_path):
    bench = KnownTimes(tmp_path)
    bench.helps = ""
    found = measure_cold_query(bench)
    assert found.figure("cold query", "facesearch query, brute") is None
    assert "no --backend" in found.facts["brute"]
    with pytest.raises(BenchmarkError, match="--runtime"):
        measure_runtimes(bench)


def test_runtimes_are_compared_without_start_up(tmp_path):
    found = measure_runtimes(KnownTimes(tmp_path))
    assert found.figure("indexing without start-up", "tensorflow").median == pytest.approx(25)
    assert ratio_of(found, "default over TensorFlow").median == pytest.approx(4.0)


def test_a_speedup_is_over_all_photos_and_wanted_of_a_peer_as_it_comes():
    built = {
        "facesearch": (Built(300, 298, 5.0, 2.98, 1),),
        "facesearch, 3,000 photos": (Built(3_000, 2_998, 20.0, 14.99, 1),),
        "deepface": (Built(300, 298, 100.0, 89.4, 1),),
        "deepface, 2 processes": (Built(300, 298, 60.0, 44.7, 1),),
    }
    alone, both = _speedups(built, {"deepface": PEERS["deepface"]})
    assert alone.name == "indexing, facesearch, 3,000 photos over deepface"
    assert (alone.median, alone.at_least) == (pytest.approx(60.0), 40.0)
    assert (both.median, both.at_least) == (pytest.approx(30.0), None)


def test_what_takes_long_or_needs_the_network_is_measured_only_when_named():
    named = [name for name, each in MEASUREMENTS.items() if not each.by_default]
    assert named == ["sizes", "setup"]
