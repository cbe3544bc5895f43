"""The library behind the back ends called "faiss": an extra, imported when it is needed."""

from __future__ import annotations

import importlib.util
from typing import Any

from facesearch.errors import UsageError
from facesearch.search.threads import Team

_MISSING = (
    "the search back ends called faiss are not installed; install them with: pip install faiss-cpu"
)


def load_faiss() -> Any:
    """The module.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise UsageError(_MISSING) from error
    return faiss


def require_faiss() -> None:
    """As ``load_faiss``, without the import.

    Raises:
        UsageError: it is not installed.
    """
    if not has_faiss():
        raise UsageError(_MISSING)


def has_faiss() -> bool:
    """Whether it is installed; nothing is imported."""
    return importlib.util.find_spec("faiss") is not None


def team(faiss: Any) -> Team:
    """Threads for its scans; each of them works alone, for its own pools wait for one another."""
    return Team(lambda: faiss.omp_set_num_threads(1))
