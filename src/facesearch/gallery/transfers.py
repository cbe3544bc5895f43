"""Moving a whole gallery between a store file and an engine: what is asked, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from facesearch.errors import FacesearchError, UsageError

GONE_SHARE = 0.1
"""More than this share of the target's photos gone is not believed without ``prune``."""
SAMPLE = 200
"""Faces that are read back and compared."""

Watch = Callable[[int, int], None]
"""Told of rows done and rows in all."""


@dataclass(frozen=True, slots=True)
class TransferOptions:
    """How to move. ``keep`` leaves photos in the target that the source has not; otherwise they are
    removed, but more than a tenth of them only with ``prune``. ``wait`` waits for another writer,
    ``seed`` chooses the sample that is compared.
    """

    keep: bool = False
    prune: bool = False
    wait: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class TransferSummary:
    """What became of it. ``photos`` and ``faces`` count what the source holds, by file and by
    distinct face; ``written`` the rows that had to be sent and ``unchanged`` those that were there,
    ``removed`` photos that the source has no more, ``kept`` those left with ``keep``. ``compared``
    faces were read back and found equal.
    """

    source: str
    target: str
    photos: int
    faces: int
    written: int
    unchanged: int
    removed: int
    kept: int
    compared: int
    seconds: float = 0.0


class Transfer(Protocol):
    """A gallery on its way."""

    def go(self, watch: Watch) -> TransferSummary:
        """Moves what is new, removes what is gone, compares.

        Raises:
            FacesearchError: too many photos would go.
            StoreError: one of the ends cannot be read or written: run it again, it goes on.
        """


def refuse_return(target: object, source: object, there: int) -> None:
    """Refuses to bring back what was forgotten.

    Raises:
        UsageError: the source has rows of it.
    """
    if there:
        raise UsageError(
            f"{source}: has {there:,} photos or faces that {target} has forgotten; forget them "
            "there too, or let them come back with facesearch forget --allow"
        )


def refuse_losses(target: object, gone: int, there: int, options: TransferOptions) -> None:
    """Refuses to take very many photos away.

    Raises:
        FacesearchError: more than a tenth would go, and ``prune`` was not said.
    """
    if options.prune or options.keep or gone <= GONE_SHARE * there:
        return
    raise FacesearchError(
        f"{target}: {gone:,} of its {there:,} photos are not in the source and would go; is it the "
        "right one? --prune removes them, --keep leaves them"
    )
