"""How what a network needs may be brought here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from facesearch.weights import BarFactory, NoBar


@dataclass(frozen=True, slots=True)
class Fetch:
    """``offline`` never touches the network; ``report`` is told what happens, ``progress`` shows a
    transfer.
    """

    offline: bool = False
    report: Callable[[str], object] = lambda _line: None
    progress: BarFactory = NoBar
