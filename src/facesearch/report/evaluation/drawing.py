"""How figures look, and how one becomes a file: the same bytes for the same data."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from facesearch.report.terminal import escape, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARK = "facesearch eval figure"
"""The description in every figure file, by which it is known again."""
_DASHES = ("-", (0, (5, 1.6)), (0, (6, 1.5, 1.2, 1.5)), (0, (1.4, 1.4)))
_MARKERS = "osD^vP*"
_DOTS_PER_INCH = 160
_TITLE_LENGTH = 56
_ONE_AT_A_TIME = threading.Lock()  # matplotlib's settings belong to the whole process


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of a figure. ``series`` stay apart for colour-blind eyes (Okabe and Ito's set)."""

    paper: str
    ink: str
    muted: str
    grid: str
    series: tuple[str, ...]
    mates: str
    others: str


LIGHT = Theme(
    paper="#ffffff",
    ink="#1b2333",
    muted="#5b6678",
    grid="#e3e8ef",
    series=("#0072b2", "#d55e00", "#009e73", "#b5478c", "#b87f00", "#3aa0dd", "#333333"),
    mates="#0072b2",
    others="#d98200",
)
DARK = Theme(
    paper="#171d29",
    ink="#e8ecf3",
    muted="#a3aec0",
    grid="#2b3547",
    series=("#56b4e9", "#ff8a4c", "#2cc79a", "#e796c4", "#f2c14e", "#9aa8ff", "#e6e6e6"),
    mates="#56b4e9",
    others="#ffab40",
)


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure to be drawn. ``name`` is its files' stem, ``size`` (width, height) in inches.

    ``alt`` says in words what it shows.
    """

    name: str
    title: str
    alt: str
    size: tuple[float, float]
    draw: Callable[[Axes, Theme], None]


def svg(picture: Picture, theme: Theme) -> bytes:
    """The figure as SVG, its letters as outlines, so that it needs no font."""
    written = io.BytesIO()
    about = {"Date": None, "Creator": "facesearch", "Description": MARK, "Title": picture.title}
    with _drawn(picture, theme) as figure:
        figure.savefig(written, format="svg", metadata=about)
    return written.getvalue()


def png(picture: Picture, theme: Theme) -> bytes:
    """The figure as PNG."""
    written = io.BytesIO()
    about = {"Software": "facesearch", "Description": MARK}
    with _drawn(picture, theme) as figure:
        figure.savefig(
            written, format="png", metadata=about, dpi=_DOTS_PER_INCH, bbox_inches="tight",
            pad_inches=0.12,
        )  # fmt: skip
    return written.getvalue()


def line_style(place: int, theme: Theme) -> dict[str, Any]:
    """How the line of the system at ``place`` looks: colour and dashes tell it apart."""
    color = theme.series[place % len(theme.series)]
    return {"color": color, "linestyle": _DASHES[place % len(_DASHES)], "linewidth": 1.9}


def marker_style(place: int, theme: Theme) -> dict[str, Any]:
    """How the points of the system at ``place`` look."""
    color = theme.series[place % len(theme.series)]
    return {"color": color, "marker": _MARKERS[place % len(_MARKERS)], "linestyle": "none"}


def lettering(text: str, most: int = 44) -> str:
    """The text as matplotlib's own font can set it, other characters as escapes.

    A text longer than ``most`` characters loses its middle.
    """
    known = "".join(mark if _has(mark) else _code(mark) for mark in escape(text))
    return shorten(known, most)


@cache
def _has(mark: str) -> bool:
    from matplotlib.font_manager import get_font

    return bool(get_font(_own_font()).get_char_index(ord(mark)))


def _own_font() -> str:
    from matplotlib import get_data_path

    return f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf"


def _code(mark: str) -> str:
    return mark.encode("ascii", "backslashreplace").decode()


@contextmanager
def _drawn(picture: Picture, theme: Theme) -> Iterator[Figure]:
    from matplotlib import rc_context, rcdefaults, rcParams
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with _ONE_AT_A_TIME, rc_context():
        rcdefaults()  # a person's own matplotlibrc must not change the report
        rcParams.update(_settings(theme))
        figure = Figure(figsize=picture.size, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        picture.draw(axes, theme)
        figure.suptitle(lettering(picture.title, _TITLE_LENGTH), x=0.02, ha="left")
        # Outside, where it covers nothing.
        labels = axes.get_legend_handles_labels()[1]
        figure.legend(loc="outside lower left", ncols=_columns(labels, picture.size[0]))
        yield figure


def _columns(labels: list[str], width: float) -> int:
    longest = max(map(len, labels), default=1)
    return max(1, min(len(labels), 3, int(width / (0.083 * longest + 0.7))))


def _settings(theme: Theme) -> Any:
    return {
        "axes.axisbelow": True,
        "axes.edgecolor": theme.muted,
        "axes.facecolor": theme.paper,
        "axes.grid": True,
        "axes.labelcolor": theme.muted,
        "axes.labelsize": 11,
        "figure.constrained_layout.h_pad": 0.06,
        "figure.constrained_layout.w_pad": 0.06,
        "figure.facecolor": theme.paper,
        "figure.titlesize": 13,
        "figure.titleweight": "bold",
        "font.family": "DejaVu Sans",
        "font.size": 10.5,
        "grid.color": theme.grid,
        "grid.linewidth": 0.8,
        "legend.borderaxespad": 0.2,
        "legend.columnspacing": 1.6,
        "legend.fontsize": 10.5,
        "legend.frameon": False,
        "legend.handlelength": 2.6,
        "legend.labelcolor": theme.ink,
        "savefig.facecolor": theme.paper,
        "svg.fonttype": "path",
        "svg.hashsalt": "facesearch",
        "text.color": theme.ink,
        "text.parse_math": False,
        "xtick.color": theme.muted,
        "xtick.labelsize": 10.5,
        "ytick.color": theme.muted,
        "ytick.labelsize": 10.5,
    }
