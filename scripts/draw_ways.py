"""Draws the pictures of docs/how-it-works.md: the way of a photo, of a question, and the bands.

The bands are those of the calibration. Run it when that changes: python scripts/draw_ways.py
"""

from __future__ import annotations

import math
import random
from pathlib import Path

from facesearch.calibration import Calibration, find_calibration
from facesearch.index_options import recipe_of

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
INK, FAINT, LINE, GROUND = "#26323c", "#5a6b7b", "#9fb0bd", "#eef3f6"
TEAL, AMBER, GREY = "#00796b", "#e0a63a", "#c3ccd3"
SKIN, HAIR = "#f0cdb0", "#6b4b3a"
GALLERIES = ((1_000, "1,000 faces"), (10_000, "10,000 faces"), (100_000, "100,000 faces"))
POINTS = (
    *((196, 104), (252, 92), (300, 138), (178, 172), (232, 206), (140, 128), (284, 196)),
    *((520, 70), (560, 92), (498, 112), (548, 132), (592, 66)),
    *((420, 226), (458, 250), (396, 262), (446, 204), (488, 232), (430, 270)),
    *((690, 190), (730, 214), (672, 232), (716, 250), (756, 184), (704, 156), (770, 236)),
)
"""Faces of four people, each near the others of the same one."""
FARTHEST = 1.6
"""Where the picture of the bands ends; most distances between strangers lie below."""


def pictures() -> dict[str, str]:
    """Every picture by the name of its file."""
    return {
        "way-of-a-photo.svg": way_of_a_photo(),
        "way-of-a-question.svg": way_of_a_question(),
        "bands.svg": bands(),
    }


def main() -> None:
    """Writes the pictures anew."""
    for name, picture in pictures().items():
        (PICTURES / name).write_text(picture, encoding="utf-8")


def way_of_a_photo() -> str:
    """Photo, faces, one upright face, its numbers, the store."""
    parts = [_box(20, 50, 190, 140), _person(80, 125, 1.0), _person(155, 118, 0.8)]
    parts += [_arrow(218, 120, 246), _box(254, 50, 190, 140)]
    parts += [_person(314, 125, 1.0), _person(389, 118, 0.8)]
    parts += [_frame(287, 85, 54, 68), _frame(367, 86, 44, 55)]
    parts += [_words(291, 80, "1", TEAL, 13), _words(371, 80, "2", TEAL, 13)]
    parts += [_arrow(452, 120, 480), _box(488, 70, 100, 100), _person(538, 124, 1.45)]
    parts += [_arrow(596, 120, 624), _numbers(632, 80), _arrow(736, 120, 764)]
    parts += [_box(772, 70, 120, 100), _words(832, 115, "faces.npz", INK, 15, "middle")]
    parts.append(_words(832, 136, "no pictures", FAINT, 12, "middle"))
    named = ((115, "a photo"), (349, "its faces"), (538, "a face, upright"))
    named += ((680, "128 numbers"), (832, "the store"))
    parts += [_words(x, 222, text, INK, 14, "middle") for x, text in named]
    return _svg(912, 245, "From a photo to the store: faces, upright faces, numbers", parts)


def way_of_a_question() -> str:
    """Faces as points in a plane, the question among them, the nearest three numbered."""
    parts = [_box(20, 20, 872, 290)]
    parts += [_dot(x, y, FAINT, 5) for x, y in POINTS]
    asked = (238, 150)
    near = sorted(POINTS, key=lambda point: math.dist(point, asked))
    for rank, (x, y) in enumerate(near[:3], start=1):
        parts.append(f'<path d="M{asked[0]} {asked[1]} L{x:.1f} {y:.1f}" {_STROKE}="{TEAL}"/>')
        parts += [_dot(x, y, TEAL, 10), _words(x, y + 4, str(rank), "#ffffff", 12, "middle")]
    parts += [_dot(*asked, AMBER, 10), _words(asked[0], asked[1] + 4, "?", INK, 13, "middle")]
    parts.append(_words(40, 296, "Each point is a face. Faces that look alike lie close.", INK, 14))
    return _svg(912, 330, "A question is a point too; its nearest points are the answer", parts)


def bands() -> str:
    """Up to which distance a neighbour is likely or possible, in stores of three sizes."""
    known = find_calibration(recipe_of("facenet").space_digest)
    assert known is not None, "facenet has a calibration"
    left, width = 150, 730
    parts: list[str] = []
    for row, (faces, name) in enumerate(GALLERIES):
        y = 30 + row * 52
        likely, possible = (_reach(known, faces, band) for band in ("likely", "possible"))
        parts.append(_words(left - 12, y + 23, name, INK, 14, "end"))
        edges = ((0.0, likely, TEAL), (likely, possible, AMBER), (possible, FARTHEST, GREY))
        for start, end, color in edges:
            x, wide = left + width * start / FARTHEST, width * (end - start) / FARTHEST
            parts.append(
                f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="34" fill="{color}"/>'
            )
        for edge, color in ((likely, "#ffffff"), (possible, INK)):
            x = left + width * edge / FARTHEST - 6
            parts.append(_words(x, y + 22, f"{edge:.2f}", color, 13, "end"))
    axis = 30 + len(GALLERIES) * 52 + 8
    for tenth in range(0, 17, 2):
        x = left + width * tenth / 10 / FARTHEST
        parts.append(_words(x, axis, f"{tenth / 10:.1f}", FAINT, 12, "middle"))
    parts.append(_words(left, axis + 28, "distance to the face that was asked for", FAINT, 13))
    for place, (text, color) in enumerate(
        (("likely", TEAL), ("possible", AMBER), ("unlikely", GREY))
    ):
        x = 600 + place * 100
        parts.append(f'<rect x="{x}" y="{axis + 17}" width="13" height="13" fill="{color}"/>')
        parts.append(_words(x + 19, axis + 28, text, INK, 13))
    return _svg(912, axis + 46, "Bands by distance, in stores of three sizes", parts)


def _reach(known: Calibration, faces: int, band: str) -> float:
    """The largest distance, in hundredths, that has this band or a better one."""
    wanted = {"likely": {"likely"}, "possible": {"likely", "possible"}}[band]
    reached = 0
    for hundredth in range(int(FARTHEST * 100)):
        distance = hundredth / 100
        expected = known.expected_false_matches(distance, faces)
        if known.band(known.probability(distance), expected) not in wanted:
            break
        reached = hundredth
    return reached / 100


_STROKE = 'fill="none" stroke-width="2" stroke'


def _svg(width: int, height: int, title: str, parts: list[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="Helvetica, Arial, sans-serif" role="img" aria-labelledby="title">'
    )
    ground = f'<rect width="{width}" height="{height}" rx="10" fill="#ffffff"/>'
    return "\n".join([head, f'<title id="title">{title}</title>', ground, *parts, "</svg>"]) + "\n"


def _box(x: int, y: int, width: int, height: int) -> str:
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="{GROUND}" '
        f'stroke="{LINE}"/>'
    )


def _frame(x: int, y: int, width: int, height: int) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" {_STROKE}="{TEAL}"/>'


def _person(x: int, y: int, size: float) -> str:
    """A face with hair, eyes and a mouth, its middle at (x, y)."""
    return (
        f'<g transform="translate({x} {y}) scale({size})">'
        f'<ellipse cy="-10" rx="23" ry="25" fill="{HAIR}"/><ellipse rx="19" ry="25" fill="{SKIN}"/>'
        f'<path d="M-19 -8 Q-4 -14 4 -24 Q12 -14 19 -8 Q16 -30 0 -30 Q-16 -30 -19 -8" '
        f'fill="{HAIR}"/><g fill="{INK}"><circle cx="-7" cy="-2" r="2.300"/>'
        '<circle cx="7" cy="-2" r="2.300"/></g>'
        f'<path d="M-7 11 Q0 17 7 11" {_STROKE}="{INK}"/></g>'
    )


def _numbers(x: int, y: int) -> str:
    """Bars up and down, as an embedding's numbers are."""
    chance = random.Random(2)
    bars = []
    for place in range(24):
        tall = chance.uniform(4, 38)
        top = y + 40 - (tall if chance.random() < 0.5 else 0)
        bars.append(f'<rect x="{x + place * 4}" y="{top:.1f}" width="3" height="{tall:.1f}"/>')
    return f'<g fill="{TEAL}">{"".join(bars)}</g>'


def _dot(x: float, y: float, color: str, radius: int) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{color}"/>'


def _arrow(x: int, y: int, end: int) -> str:
    return (
        f'<path d="M{x} {y} H{end} M{end - 7} {y - 6} L{end} {y} L{end - 7} {y + 6}" '
        f'{_STROKE}="{FAINT}"/>'
    )


def _words(x: float, y: float, text: str, color: str, size: int, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{color}" '
        f'text-anchor="{anchor}">{text}</text>'
    )


if __name__ == "__main__":
    main()
