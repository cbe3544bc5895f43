"""The bars that long commands show on standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Self

import click

if TYPE_CHECKING:
    import tqdm

    from facesearch.indexing import RunState
    from facesearch.training import TrainState


class _Bar:
    """A bar that is made once there is something to show, and closed with its ``with``."""

    def __init__(self) -> None:
        self._bar: tqdm.tqdm[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def say(self, text: str) -> None:
        """Prints a line above the bar."""
        if self._bar is None:
            click.echo(text, err=True)
        else:
            self._bar.write(text, file=sys.stderr)

    def bar(self, unit: str, total: int, done: int = 0) -> tqdm.tqdm[Any]:
        """The bar to move: the one there is, else one of ``total`` that begins at ``done``."""
        if self._bar is None:
            import tqdm

            seldom = 0.1 if sys.stderr.isatty() else 30.0  # a log needs no moving picture
            self._bar = tqdm.tqdm(
                total=total,
                initial=done,
                unit=unit,
                dynamic_ncols=True,
                mininterval=seldom,
                maxinterval=seldom,
            )
        return self._bar

    def end(self) -> None:
        """Closes the bar, if there is one; the next thing to show makes another."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class ProgressBar(_Bar):
    """Photos done of all, faces and failures."""

    def show(self, state: RunState) -> None:
        """Moves the bar to ``state``; a run that begins anew has a bar of its own."""
        if self._bar is not None and state.done < self._bar.n:
            self.end()
        bar = self.bar("photo", state.total, state.done)
        counts = {"faces": state.faces, "failed": state.failed}
        shown = {name: number for name, number in counts.items() if number is not None}
        bar.set_postfix(shown, refresh=False)
        bar.update(state.done - bar.n)


class CountingBar(_Bar):
    """Things done of all."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def show(self, done: int, total: int) -> None:
        """Moves the bar."""
        bar = self.bar(self._unit, total)
        bar.update(done - bar.n)


class TrainingBar(_Bar):
    """Photos read, then batches trained, of all; and once it is known, how long that will take."""

    def __init__(self) -> None:
        super().__init__()
        self._told = False

    def show(self, state: TrainState) -> None:
        """Moves the bar to ``state``."""
        if self._bar is not None and self._bar.unit != state.unit:
            self.end()
        bar = self.bar(state.unit, state.total, state.done - 1)
        if state.unit == "batch":
            bar.set_postfix_str(
                f"epoch {state.epoch}, accuracy {state.accuracy:.1%}, loss {state.loss:.3g}",
                refresh=False,
            )
        bar.update(state.done - bar.n)
        if state.seconds_left is not None and not self._told:
            from facesearch.report.wording import duration

            self._told = True
            self.say(f"about {duration(state.seconds_left)} to go")
