"""``facesearch train``: trains a small network on a folder of people's photos."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from facesearch.training import TrainPlan, TrainSummary

_FAILURES_SHOWN = 20


@click.command()
@click.argument("network", metavar="NETWORK", type=click.Choice(["small-cnn"]))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--people",
    type=click.IntRange(min=2),
    metavar="N",
    help="Take the first N people by name; else all.",
)
@click.option("--without-pois", is_flag=True, help="Leave out the people it is to be tested on.")
@click.option(
    "--poi-photos",
    type=click.IntRange(min=1),
    metavar="N",
    default=6,
    show_default=True,
    help="Those are the people with exactly N photos.",
)
@click.option("--poi", "pois", multiple=True, metavar="NAME", help="And this one; repeatable.")
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="How often every photo is seen.",
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Photos a step; fewer take less memory.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Decides the first weights and the order of photos.",
)
@click.option(
    "--resume", is_flag=True, help="Go on after the last epoch of an unfinished training."
)
@click.option("--restart", is_flag=True, help="Forget an unfinished training.")
@click.option("--dry-run", is_flag=True, help="Tell what it would take; train nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def train(network: str, folder: Path, dry_run: bool, as_json: bool, **settings: Any) -> int:
    """Train NETWORK (small-cnn) on FOLDER, which holds one folder a person.

    This is the baseline of the second course report. The weights that the embedding needs are kept
    for the systems small-cnn and small-cnn-without-pois, with a card that says what they are.
    """
    from facesearch import training
    from facesearch.cli.progress import TrainingBar
    from facesearch.cli.stores import say

    del network  # there is one
    plan = training.make_plan(folder, training.TrainOptions(**settings))
    if dry_run:
        _print(_plan_facts(plan) if as_json else _plan_lines(plan))
        return 0
    say(_plan_line(plan))
    with TrainingBar() as bar:
        summary = training.train(plan, training.TrainHooks(bar.show))
    _print(_summary_facts(summary) if as_json else _summary_lines(summary))
    return 0


def _print(told: dict[str, Any] | list[str]) -> None:
    """Facts as one JSON object, or lines for people."""
    from facesearch.report import escape

    if isinstance(told, dict):
        click.echo(json.dumps(told, indent=2))
    else:
        for line in told:
            click.echo(escape(line))


def _plan_line(plan: TrainPlan) -> str:
    from facesearch.report import count, size
    from facesearch.report.wording import large

    return (
        f"{plan.options.name}: {count(len(plan.people), 'person', 'people')}, "
        f"{count(plan.photos, 'photo')}, {large(plan.weights)} weights; takes "
        f"{size(plan.memory)} of memory ({size(plan.memory_available)} available) and "
        f"{size(plan.disk)} of disk ({size(plan.disk_free)} free)"
    )


def _plan_lines(plan: TrainPlan) -> list[str]:
    from facesearch.report import count
    from facesearch.report.wording import duration

    epochs = plan.options.epochs
    steps = f"{count(epochs, 'epoch')} of {count(plan.batches, 'batch', 'batches')}"
    lines = [_plan_line(plan), f"{steps}: roughly {duration(plan.seconds)} on two cores"]
    if plan.done:
        lines.append(f"unfinished: {plan.done} of {epochs} epochs are in {plan.unfinished.folder}")
    if plan.obstacle:
        lines.append(f"cannot be done here: {plan.obstacle}")
    return lines


def _plan_facts(plan: TrainPlan) -> dict[str, Any]:
    return {
        "schema": 1,
        "name": plan.options.name,
        "folder": str(plan.folder),
        "people": len(plan.people),
        "photos": plan.photos,
        "weights": plan.weights,
        "epochs": plan.options.epochs,
        "batches": plan.batches,
        "memory": plan.memory,
        "memory_available": plan.memory_available,
        "disk": plan.disk,
        "disk_free": plan.disk_free,
        "seconds": round(plan.seconds, 1),
        "epochs_done": plan.done,
        "obstacle": plan.obstacle,
    }


def _summary_lines(summary: TrainSummary) -> list[str]:
    from facesearch.report import count
    from facesearch.report.wording import duration, message_with_path

    last = summary.epochs[-1]
    lines = [
        f"{summary.name}: {count(summary.people, 'person', 'people')}, "
        f"{count(summary.photos, 'photo')}, {count(len(summary.epochs), 'epoch')} "
        f"in {duration(summary.seconds)}",
        f"accuracy {last.accuracy:.1%}, loss {last.loss:.3g} on the photos it was taught",
    ]
    if summary.failures:
        lines.append(f"left out: {count(len(summary.failures), 'photo')} that cannot be read")
        lines += [
            f"  {message_with_path(failure.path, failure.message)}"
            for failure in summary.failures[:_FAILURES_SHOWN]
        ]
        hidden = len(summary.failures) - _FAILURES_SHOWN
        lines += [f"  and {hidden:,} more: --json lists all"] if hidden > 0 else []
    return [*lines, f"weights: {summary.path} (SHA-256 {summary.sha256})", f"card: {summary.card}"]


def _summary_facts(summary: TrainSummary) -> dict[str, Any]:
    facts = asdict(summary)
    return {"schema": 1, **facts, "path": str(summary.path), "card": str(summary.card)}
