import numpy as np
import pytest
from benchmarks.accuracy import of_peer

PEOPLE = {"Ann": 6, "Bob": 6, "Cy": 2, "Di": 1}


@pytest.fixture
def arrays():
    """One face a photo; a person's photos lie together, and people far apart."""
    rng = np.random.default_rng(0)
    names = [name for name, count in PEOPLE.items() for _ in range(count)]
    paths = [f"/photos/{name}/{name}_{number:04}.jpg" for number, name in enumerate(names)]
    centres = {name: rng.normal(size=16) * 10 for name in PEOPLE}
    return {
        "photo": np.arange(len(names)),
        "size": np.full((len(names), 2), 250),
        "box": np.tile([90.0, 90.0, 70.0, 90.0], (len(names), 1)),
        "row": np.array([centres[name] + rng.normal(size=16) for name in names]),
        "path": np.array(paths),
    }


def scores(tmp_path, arrays):
    np.savez(tmp_path / "peer.npz", **arrays)
    return of_peer(tmp_path / "peer.npz")


def test_people_with_six_photos_are_searched_for(tmp_path, arrays):
    found = scores(tmp_path, arrays)
    assert (found["probes"], found["photos"], found["probes_without_face"]) == (12, 15, 0)
    assert (found["rank-1"], found["mAP"], found["recall@19"]) == (1.0, 1.0, 1.0)


def test_a_photo_without_a_face_is_a_miss_and_cannot_be_found(tmp_path, arrays):
    without_first = {name: rows[1:] for name, rows in arrays.items() if name != "path"}
    found = scores(tmp_path, {**without_first, "path": arrays["path"], "size": arrays["size"]})
    assert found["probes_without_face"] == 1
    assert found["rank-1"] == pytest.approx(11 / 12)
    # Ann's other five find four of their five mates.
    assert found["recall@19"] == pytest.approx((5 * 0.8 + 6) / 12)


def test_a_photo_stands_for_its_most_prominent_face(tmp_path, arrays):
    """A small face in a corner that looks like somebody else is not asked for."""
    wrong = arrays["row"][6]  # one of Bob's, in Ann's first photo
    corner = np.array([0.0, 0.0, 20.0, 20.0])
    arrays["photo"] = np.insert(arrays["photo"], 0, 0)
    arrays["box"] = np.vstack([corner, arrays["box"]])
    arrays["row"] = np.vstack([wrong, arrays["row"]])
    assert scores(tmp_path, arrays)["rank-1"] == 1.0
    arrays["box"][[0, 1]] = arrays["box"][[1, 0]]
    assert scores(tmp_path, arrays)["rank-1"] < 1.0
