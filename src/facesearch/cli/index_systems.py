"""``facesearch index --system``: which store each system has, and runs that come in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from facesearch.addresses import StoreName
from facesearch.cli.stores import say
from facesearch.errors import FacesearchError, InterruptedRunError, UsageError
from facesearch.records import IndexPrediction, IndexSummary, SystemRun


@dataclass(frozen=True, slots=True)
class SystemStore:
    """A store to write. ``systems`` are those that share it, none for the tool's own default;
    ``shared`` is whether several systems were asked for.
    """

    path: StoreName
    systems: tuple[str, ...] = ()
    recipe: str = ""
    shared: bool = False

    @property
    def system(self) -> str | None:
        """A system whose recipe is the store's."""
        return self.systems[0] if self.systems else None


def stores_of(names: Sequence[str], store: StoreName) -> list[SystemStore]:
    """The stores for the systems named: for one, or none, ``store`` itself; for several, one beside
    it for each recipe, with the recipe's name added. The default recipe's is ``store`` in any case.

    Raises:
        UsageError: there is no such system, or several for one gallery in a search engine.
    """
    from facesearch.recipes import Recipe
    from facesearch.systems import DEFAULT, choose_systems, find_system

    chosen = choose_systems(names)
    if not chosen:
        return [SystemStore(store)]
    if len(chosen) == 1:
        return [SystemStore(store, (chosen[0].name,), chosen[0].recipe.name)]
    if not isinstance(store, Path):
        raise UsageError(f"{store}: holds the rows of one system; index each into its own")
    groups: dict[Recipe, list[str]] = {}
    for system in chosen:
        groups.setdefault(system.recipe, []).append(system.name)
    own = find_system(DEFAULT).recipe
    return [
        SystemStore(
            store if recipe == own else store.with_stem(f"{store.stem}-{recipe.name}"),
            tuple(systems),
            recipe.name,
            shared=True,
        )
        for recipe, systems in groups.items()
    ]


def run_in_turn(
    stores: Sequence[SystemStore],
    run: Callable[[SystemStore], IndexSummary | IndexPrediction],
    quiet: bool,
) -> list[SystemRun]:
    """Runs each; one that fails is told of, and the others follow. Prints what each did, unless
    ``quiet``.

    Raises:
        UsageError: the first one cannot be meant, so nothing was done.
        InterruptedRunError: Ctrl-C, which ends all.
    """
    from facesearch.report import render_system_run

    runs: list[SystemRun] = []
    for target in stores:
        done = SystemRun(target.systems, target.recipe, str(target.path))
        try:
            done = replace(done, outcome=run(target))
        except InterruptedRunError:
            raise
        except (FacesearchError, OSError) as error:
            if isinstance(error, UsageError) and not runs:
                raise
            done = replace(done, error=str(error))
            say(f"facesearch: {', '.join(done.systems)}: {error}")
        runs.append(done)
        if done.outcome is not None and not quiet:
            click.echo(render_system_run(done), nl=False)
    return runs
