"""A report on disk: the page, figures, tables and data; only its own files are ever replaced."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from facesearch import private
from facesearch.errors import FacesearchError
from facesearch.report.evaluation import document, drawing, latex, page, spreadsheet
from facesearch.report.evaluation.drawing import Picture
from facesearch.report.evaluation.figures import all_pictures
from facesearch.report.evaluation.page import DrawnFigure
from facesearch.report.evaluation.thumbnails import Pictures
from facesearch.results import Evaluation

_PAGE, _DATA, _FIGURES = "index.html", "results.json", "figures"
_SPREADSHEET, _LATEX = "table.csv", "table.tex"
_MARKS = {
    ".html": page.MARK,
    ".json": document.KIND,
    ".csv": spreadsheet.MARK,
    ".tex": latex.MARK,
    ".svg": drawing.MARK,
    ".png": drawing.MARK,
}
_LOOKED_THROUGH = 4096  # bytes of a file in which its mark stands


def write_report(evaluation: Evaluation, folder: str | Path, picture: Pictures) -> list[Path]:
    """Write the report into ``folder``, made where it is missing.

    Files of an earlier report are replaced, its figures that are no longer drawn are deleted;
    everything else in the folder stays. All files are readable by their owner alone.

    Args:
        evaluation: what was found; ``read_evaluation`` gives it back for drawing again.
        folder: where to write.
        picture: (path, box) to the RGB pixels of the face there, of the whole photo without a
            box, None when the photo is not there any more.

    Returns:
        The files written, the page first.

    Raises:
        FacesearchError: the folder holds other files under the report's names, or cannot be
            written. Nothing was changed in the first case.
    """
    target = Path(folder)
    pictures = all_pictures(evaluation)
    names = [one.name for of_topic in pictures.values() for one in of_topic]
    figures = [target / _FIGURES / f"{name}{kind}" for name in names for kind in (".svg", ".png")]
    fixed = [target / name for name in (_PAGE, _DATA, _SPREADSHEET, _LATEX)]
    _refuse_foreign(target, [*fixed, *figures])
    with _writing(target):
        (target / _FIGURES).mkdir(parents=True, exist_ok=True)
    # The data first: whatever happens afterwards, all else can be drawn again.
    _replace(target / _DATA, document.as_document(evaluation).encode())
    csv = spreadsheet.render(evaluation).encode("utf-8", "surrogateescape")
    _replace(target / _SPREADSHEET, csv)
    _replace(target / _LATEX, latex.render(evaluation).encode())
    drawn = {topic: list(_draw(target, of_topic)) for topic, of_topic in pictures.items()}
    _replace(target / _PAGE, page.render(evaluation, drawn, picture).encode())
    with _writing(target):
        _delete_stale(target / _FIGURES, figures)
    return [*fixed, *figures]


def _draw(target: Path, pictures: Iterable[Picture]) -> Iterator[DrawnFigure]:
    for picture in pictures:
        stem = target / _FIGURES / picture.name
        light = drawing.svg(picture, drawing.LIGHT)
        _replace(stem.with_suffix(".svg"), light)
        _replace(stem.with_suffix(".png"), drawing.png(picture, drawing.LIGHT))
        yield DrawnFigure(picture, light, drawing.svg(picture, drawing.DARK))


def _refuse_foreign(target: Path, paths: Iterable[Path]) -> None:
    for folder in (target, target / _FIGURES):
        if os.path.lexists(folder) and not folder.is_dir():
            raise FacesearchError(f"{folder}: not a folder; name another place for the report")
    for path in paths:
        if os.path.lexists(path) and not _is_ours(path):
            raise FacesearchError(
                f"{path}: not written by facesearch eval and never replaced; "
                "name another folder for the report or move the file away"
            )


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _MARKS[path.suffix].encode() in file.read(_LOOKED_THROUGH)
    except OSError:
        return False


def _delete_stale(folder: Path, kept: Iterable[Path]) -> None:
    for path in set(folder.iterdir()) - set(kept):
        if path.suffix in {".svg", ".png"} and not path.is_symlink() and _is_ours(path):
            path.unlink()


def _replace(path: Path, content: bytes) -> None:
    with _writing(path):
        private.write_file(path, content)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FacesearchError(
            f"{path}: the report cannot be written ({error.strerror or error}); "
            "name a folder that can be written and has room"
        ) from error
