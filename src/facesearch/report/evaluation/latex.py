"""``table.tex``: the comparison of accuracy and cost as a plain tabular."""

from __future__ import annotations

from facesearch.report.evaluation.cells import NOTHING, Cell
from facesearch.report.evaluation.rows import dataset_line, footnotes, untrained, without_results
from facesearch.report.evaluation.tables import overview
from facesearch.report.terminal import escape
from facesearch.results import Evaluation

MARK = "% facesearch eval"
"""How every such file begins, by which it is known again."""
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "-": "{-}",
    NOTHING: "--",
}


def render(evaluation: Evaluation) -> str:
    r"""A ``tabular`` to ``\input``; it needs no package. The best of a column is bold.

    Characters beyond ASCII become escapes, so that every LaTeX takes it.
    """
    table = overview(evaluation)
    head = " & ".join(r"\shortstack[r]{" + _broken(title) + "}" for title in table.head[1:])
    lines = [
        f"{MARK}: {_comment(dataset_line(evaluation))}",
        r"\begin{tabular}{l" + "r" * (len(table.head) - 1) + "}",
        r"\hline",
        f"system & {head}" + r" \\" if head else r"system \\",
        r"\hline",
        *(" & ".join(map(_cell, row)) + r" \\" for row in table.rows),
        r"\hline",
        r"\end{tabular}",
    ]
    lines += [_remark(rf"$^{{{place}}}$ {latex(note)}") for note, place in _notes(evaluation)]
    lines += [
        _remark(f"{latex(system.name)}: {latex(system.state)}")
        for system in [*without_results(evaluation), *untrained(evaluation)]
    ]
    return "\n".join(lines) + "\n"


def latex(text: str) -> str:
    """The text with everything escaped that LaTeX would take for a command."""
    plain = escape(text).replace(NOTHING, "\0").encode("ascii", "backslashreplace").decode()
    return "".join(_SPECIAL.get(mark, mark) for mark in plain.replace("\0", NOTHING))


def _notes(evaluation: Evaluation) -> list[tuple[str, int]]:
    return list(footnotes(evaluation).items())


def _cell(cell: Cell) -> str:
    text = rf"\textbf{{{latex(cell.text)}}}" if cell.best else latex(cell.text)
    if cell.interval:
        text += r" {\footnotesize [" + latex(cell.interval) + "]}"
    return text + "".join(rf"$^{{{note}}}$" for note in cell.notes)


def _broken(title: str) -> str:
    """A heading in two lines where it has two words or more."""
    first, _, rest = title.partition(" ")
    return rf"{latex(first)}\\{latex(rest)}" if rest else latex(title)


def _remark(text: str) -> str:
    return rf"\par {{\footnotesize {text}}}"


def _comment(text: str) -> str:
    return escape(text).encode("ascii", "backslashreplace").decode()
