"""Which back end is taken where nobody has named one."""

from __future__ import annotations

from typing import NamedTuple

from facesearch.search.faiss_library import has_faiss, require_faiss

AUTO = "auto"
MANY = 100_000
"""From so many faces on the back end decides how long people wait, and they hear of it."""


class Choice(NamedTuple):
    """A back end and, where people should hear of it, why."""

    name: str
    note: str = ""


def choose(name: str, faces: int) -> Choice:
    """The back end meant by ``name``, with "auto" settled for so many faces.

    faiss is sooner imported than scikit-learn and compares sooner, so where it is installed it is
    taken at any size; the answers are the same.

    Raises:
        UsageError: the one named is not installed.
    """
    if name.startswith("faiss"):
        require_faiss()
    if name != AUTO:
        return Choice(name)
    taken = "faiss" if has_faiss() else "sklearn"
    return Choice(taken, _NOTES[taken].format(faces) if faces >= MANY else "")


_NOTES = {
    "faiss": "searching {:,} faces with faiss: the same answers as scikit-learn, sooner",
    "sklearn": "searching {:,} faces with scikit-learn; faiss gives the same answers sooner: "
    "pip install faiss-cpu",
}
