"""Noticing that object storage, or a disk, has gone away while a run reads from it."""

from __future__ import annotations

from pathlib import Path

from facesearch import buckets
from facesearch.errors import FacesearchError
from facesearch.locations import Address, as_location, is_address
from facesearch.photos import printable
from facesearch.records import Failure
from facesearch.sources.folder import PATIENCE, root_state

IN_A_ROW = 16
"""So many photos that gave a network error, or no answer, make us ask."""
_SILENT_IN_A_ROW = 2
"""The same for files, whose readers wait the longer."""


class OutageWatch:
    """Sees every photo's outcome. A disk that is away says so at once; each object of a service
    that is away costs its timeouts, as each file of a disk that does not answer, and there may be
    millions.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        """``patience``: seconds that a disk may take to answer."""
        self._patience = patience
        self._in_a_row = 0
        self._silent = 0

    def see(self, path: str, failure: Failure | None) -> None:
        """One photo's outcome.

        Raises:
            FacesearchError: the service is away, or the disk does not answer.
        """
        if not is_address(path):
            self._see_file(path, failure)
            return
        if failure is None or failure.reason not in ("io-error", "timeout"):
            self._in_a_row = 0
            return
        self._in_a_row += 1
        if self._in_a_row >= IN_A_ROW:
            self._in_a_row = 0
            _require_answer(as_location(path))

    def _see_file(self, path: str, failure: Failure | None) -> None:
        if failure is None or failure.reason != "timeout":
            self._silent = 0
            return
        self._silent += 1
        if self._silent < _SILENT_IN_A_ROW:
            return
        self._silent = 0
        folder = Path(path).parent
        if root_state(folder, self._patience) == "not answering":
            raise FacesearchError(
                f"{printable(folder)}: its disk gave no answer any more during the run; what was "
                "done is kept, run again when it is back"
            )


def _require_answer(place: object) -> None:
    if not isinstance(place, Address):
        return
    try:
        buckets.read(place, 1)
    except (FileNotFoundError, PermissionError):
        return  # an answer too
    except OSError as error:
        raise FacesearchError(
            f"{place.scheme}://{place.bucket}: went away during the run ({error.strerror}); what "
            "was done is kept, run again when it is back"
        ) from error
