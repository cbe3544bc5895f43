"""The bar that an index run shows on standard error."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import tqdm

    from facesearch.indexing import RunState


class ProgressBar:
    """Photos done of all, faces and failures; nothing is shown before there is something to do."""

    def __init__(self) -> None:
        self._bar: tqdm.tqdm[Any] | None = None

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def say(self, text: str) -> None:
        """Prints a line above the bar."""
        if self._bar is None:
            click.echo(text, err=True)
        else:
            self._bar.write(text, file=sys.stderr)

    def show(self, state: RunState) -> None:
        """Moves the bar to ``state``; a run that begins anew has a bar of its own."""
        if self._bar is not None and state.done < self._bar.n:
            self._bar.close()
            self._bar = None
        if self._bar is None:
            import tqdm

            seldom = 0.1 if sys.stderr.isatty() else 30.0  # a log needs no moving picture
            self._bar = tqdm.tqdm(
                total=state.total,
                initial=state.done,
                unit="photo",
                dynamic_ncols=True,
                mininterval=seldom,
                maxinterval=seldom,
            )
        counts = {"faces": state.faces, "failed": state.failed}
        shown = {name: number for name, number in counts.items() if number is not None}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(state.done - self._bar.n)


class CountingBar:
    """Things done of all; nothing is shown before there is something to do."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._bar: tqdm.tqdm[Any] | None = None

    def __enter__(self) -> CountingBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, done: int, total: int) -> None:
        """Moves the bar."""
        if self._bar is None:
            import tqdm

            seldom = 0.1 if sys.stderr.isatty() else 30.0  # a log needs no moving picture
            self._bar = tqdm.tqdm(
                total=total,
                unit=self._unit,
                dynamic_ncols=True,
                mininterval=seldom,
                maxinterval=seldom,
            )
        self._bar.update(done - self._bar.n)
