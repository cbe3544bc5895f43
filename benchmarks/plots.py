"""The pictures of ``docs/performance.md``: one file each, the same bytes for the same results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measurements.cold_query import IMPORT
from benchmarks.peers import PEERS
from benchmarks.results import Figure, Measured, Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OWN, _OTHER = "#0072B2", "#999999"
_SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours, which stay apart for colour-blind eyes."""
_SETTINGS: Any = {"svg.hashsalt": "facesearch", "svg.fonttype": "path", "font.size": 9}


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars, or lines, of one figure's sides, from one measurement."""

    file: str
    measurement: str
    figure: str
    title: str


BARS = (
    Bars("indexing.svg", "peers", "indexing without start-up", "Indexing, photos a second"),
    Bars("cold-query-peers.svg", "peers", "cold query", "A query in a new process, seconds"),
    Bars("warm-query-peers.svg", "peers", "warm query, median", "A warm query, milliseconds"),
    Bars("memory.svg", "peers", "peak memory, indexing", "Peak memory while indexing, MB"),
    Bars("accuracy.svg", "peers", "mAP", "Mean average precision, 55 people with six photos"),
    Bars("cold-query.svg", "cold-query", "cold query", "A query in a new process, seconds"),
    Bars("runtimes.svg", "runtimes", "indexing without start-up", "Indexing, photos a second"),
    Bars("large.svg", "large", "12 megapixels without start-up", "12 megapixels, photos a second"),
    Bars("group.svg", "large", "24 megapixels, 24 faces", "24 megapixels, 24 faces, seconds"),
    Bars("installed.svg", "setup", "installed", "Installed, MB"),
)


LINES = (
    Bars("search.svg", "search", "search", "Search alone, one query, milliseconds"),
    Bars("sizes.svg", "sizes", "one query", "A query through the gallery, milliseconds"),
    Bars("sizes-alone.svg", "sizes", "search alone", "Search alone, milliseconds"),
    Bars("sizes-memory.svg", "sizes", "memory of its own", "Memory but for mapped pages, MB"),
)


def draw(run: Run, folder: Path) -> list[Path]:
    """Draws what the run has figures for; gives the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for bars in BARS:
        figures = _sides(run.measured.get(bars.measurement), bars.figure)
        if figures:
            written.append(_picture(folder / bars.file, _bars(bars, figures)))
    for lines in LINES:
        figures = _sides(run.measured.get(lines.measurement), lines.figure)
        if figures:
            written.append(_picture(folder / lines.file, _lines(figures, lines.title)))
    return written


def _sides(measured: Measured | None, name: str) -> list[Figure]:
    return [figure for figure in measured.figures if figure.name == name] if measured else []


def _picture(target: Path, paint: Callable[[Axes], None]) -> Path:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Page

    with mpl.rc_context(_SETTINGS):
        page = Page(figsize=(6.4, 3.2), layout="constrained")
        FigureCanvasSVG(page)
        axes = page.add_subplot()
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        paint(axes)
        page.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return target


def _bars(bars: Bars, figures: Sequence[Figure]) -> Callable[[Axes], None]:
    def paint(axes: Axes) -> None:
        places = range(len(figures))
        medians = [figure.median for figure in figures]
        below = [figure.median - min(figure.samples) for figure in figures]
        above = [max(figure.samples) - figure.median for figure in figures]
        own = [_OWN if _is_ours(figure.side) else _OTHER for figure in figures]
        axes.barh(places, medians, xerr=[below, above], color=own, ecolor="#333333", capsize=2)
        axes.set_yticks(places, [figure.side for figure in figures])
        axes.invert_yaxis()
        for place, figure in zip(places, figures, strict=True):
            axes.annotate(
                _shown(figure.median), (max(figure.samples), place), (4, 0),
                textcoords="offset points", va="center",
            )  # fmt: skip
        axes.margins(x=0.15)
        axes.set_title(bars.title, loc="left")

    return paint


def _is_ours(side: str) -> bool:
    return side.split(",", maxsplit=1)[0] not in (*PEERS, IMPORT)


def _lines(figures: Sequence[Figure], title: str) -> Callable[[Axes], None]:
    """Milliseconds by number of faces, a line for each back end ("NAME, 10,000 faces")."""
    points: dict[str, list[tuple[int, float]]] = {}
    for figure in figures:
        name, _, size = figure.side.partition(", ")
        faces = int(size.removesuffix(" faces").replace(",", ""))
        points.setdefault(name, []).append((faces, figure.median))

    def paint(axes: Axes) -> None:
        for color, (name, line) in zip(_SERIES * len(points), points.items(), strict=False):
            sizes, times = zip(*sorted(line), strict=True)
            axes.plot(sizes, times, marker="o", color=color, label=name)
        first = sorted(next(iter(points.values())))
        if len(first) > 1:
            sizes = [first[0][0], first[-1][0]]
            axes.plot(sizes, [first[0][1] * size / sizes[0] for size in sizes], color=_OTHER,
                      linestyle="--", linewidth=1, label="in proportion")  # fmt: skip
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("faces")
        axes.set_title(title, loc="left")
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))

    return paint


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
