"""Noticing that object storage has gone away while a run reads from it."""

from __future__ import annotations

from facesearch import buckets
from facesearch.errors import FacesearchError
from facesearch.locations import Address, as_location, is_address
from facesearch.records import Failure

IN_A_ROW = 16
"""So many photos that gave a network error, or no answer, make us ask."""


class OutageWatch:
    """Sees every photo's outcome. A disk that is away says so at once; each object of a service
    that is away costs its timeouts, and there may be millions.
    """

    def __init__(self) -> None:
        self._in_a_row = 0

    def see(self, path: str, failure: Failure | None) -> None:
        """One photo's outcome.

        Raises:
            FacesearchError: the service is away.
        """
        if not is_address(path):
            return
        if failure is None or failure.reason not in ("io-error", "timeout"):
            self._in_a_row = 0
            return
        self._in_a_row += 1
        if self._in_a_row >= IN_A_ROW:
            self._in_a_row = 0
            _require_answer(as_location(path))


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
