import xml.etree.ElementTree as ET

from benchmarks.plots import BARS, LINES, draw
from benchmarks.results import Figure, Measured
from test_benchmarks_results import run_of


def full_run():
    sides = ("facesearch", "deepface")
    found = {}
    for bars in BARS:
        figures = tuple(Figure(bars.figure, side, "s", (1.0, 2.0, 4.0)) for side in sides)
        held = found.get(bars.measurement, Measured(()))
        found[bars.measurement] = Measured(held.figures + figures)
    searches = (("brute", 10_000), ("brute", 1_000_000), ("sklearn", 10_000))
    for lines in LINES:
        held = found.get(lines.measurement, Measured(()))
        figures = (
            Figure(lines.figure, f"{name}, {size:,} faces", "ms", (2.0,)) for name, size in searches
        )
        found[lines.measurement] = Measured((*held.figures, *figures))
    return run_of(**found)


def test_every_picture_is_drawn_and_has_the_same_bytes_again(tmp_path):
    first = draw(full_run(), tmp_path / "a")
    second = draw(full_run(), tmp_path / "b")
    assert {path.name for path in first} == {each.file for each in (*BARS, *LINES)}
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert ET.parse(one).getroot().tag.endswith("svg")


def test_what_was_not_measured_is_not_drawn(tmp_path):
    run = run_of(setup=Measured((Figure("installed", "facesearch", "MB", (3.0,)),)))
    assert [path.name for path in draw(run, tmp_path)] == ["installed.svg"]
    assert not draw(run_of(), tmp_path / "none")
