from collections import Counter
from itertools import pairwise
from pathlib import Path

from benchmarks.photos import all_photos, link, spread, with_pois
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(0, 300), st.none() | st.integers(0, 300))
def test_a_spread_takes_so_many_in_order_each_once(total, count):
    photos = [Path(f"{number:03}") for number in range(total)]
    found = spread(photos, count)
    assert len(found) == (total if count is None else min(total, count))
    assert found == sorted(set(found))
    steps = {int(b.name) - int(a.name) for a, b in pairwise(found)}
    assert not steps or max(steps) - min(steps) <= 1


def test_people_with_six_photos_come_whole_and_are_half_at_most(faces_folder):
    found = with_pois(faces_folder, 18)
    counts = Counter(photo.parent.name for photo in found)
    assert len(found) == 18
    assert counts["Ann_Six"] == 6
    assert counts["Bob_Six"] == 0
    everything = with_pois(faces_folder, 24)
    assert Counter(p.parent.name for p in everything)["Bob_Six"] == 6
    assert found == sorted(set(found))


def test_links_keep_folder_and_name(faces_folder, tmp_path):
    photos = all_photos(faces_folder)
    folder = link(photos, tmp_path / "links")
    assert [p.relative_to(folder) for p in all_photos(folder)] == [
        p.relative_to(faces_folder) for p in photos
    ]
    assert all(p.resolve().read_bytes() for p in all_photos(folder))
