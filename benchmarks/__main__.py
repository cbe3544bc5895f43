"""``python -m benchmarks``: measures facesearch, and other tools beside it, on this machine."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks.machine import machine, versions
from benchmarks.measurements import MEASUREMENTS
from benchmarks.plots import draw
from benchmarks.processes import BenchmarkError
from benchmarks.results import Run, read_run
from benchmarks.tables import comparison, markdown
from benchmarks.workbench import SIZES, Options, Workbench

_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)
_LFW = click.option(
    "--lfw",
    type=_FOLDER,
    envvar="FACESEARCH_LFW",
    default=Path("../shared/lfw"),
    show_default=True,
    help="Labeled Faces in the Wild; else $FACESEARCH_LFW.",
)


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@_LFW
@click.option("--photos", type=click.IntRange(min=16), help="So many of its photos, spread evenly.")
@click.option(
    "--repeats", type=click.IntRange(min=1), default=3, show_default=True, help="Rounds of each."
)
@click.option(
    "--only",
    type=click.Choice(list(MEASUREMENTS)),
    multiple=True,
    help="Measure this alone; repeatable.",
)
@click.option("--peers", type=_FOLDER, help="Where `peers make` made their environments.")
@click.option("--store", type=_FILE, help="A store of all these photos, to spare making one.")
@click.option(
    "--sizes",
    type=click.IntRange(min=10_000),
    multiple=True,
    default=SIZES,
    show_default=True,
    help="Faces of a simulated gallery, for the measurement of that name; repeatable.",
)
@click.option("--scratch", type=_FOLDER, help="Where photos and stores are made; else temporary.")
@click.option("--out", type=_FILE, help="Write the result as JSON, after each measurement.")
@click.option("--read", type=_FILE, help="Start from this result; measure only what --only names.")
@click.option("--compare", type=_FILE, help="Print what has changed since this result.")
@click.option("--plots", type=_FOLDER, help="Draw the pictures as SVG into this folder.")
@click.option("--markdown", "markdown_file", type=_FILE, help="Write the tables.")
@click.pass_context
def benchmarks(  # noqa: PLR0913 - one for each option
    context: click.Context,
    lfw: Path,
    photos: int | None,
    repeats: int,
    only: tuple[str, ...],
    peers: Path | None,
    store: Path | None,
    sizes: tuple[int, ...],
    scratch: Path | None,
    out: Path | None,
    read: Path | None,
    compare: Path | None,
    plots: Path | None,
    markdown_file: Path | None,
) -> None:
    """Measure facesearch on this machine; sides of a ratio take turns in the same run."""
    if context.invoked_subcommand is not None:
        return
    before = None if compare is None else read_run(compare)
    options = Options(
        lfw.absolute(), photos, repeats, peers and peers.absolute(), store and store.absolute(),
        tuple(sorted(sizes)),
    )  # fmt: skip
    run = _started(options) if read is None else read_run(read)
    if only or read is None:
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            bench = Workbench(options, Path(folder).resolve())
            chosen = only or [name for name, each in MEASUREMENTS.items() if each.by_default]
            run = _measure(bench, run, chosen, out)
    _keep(run, out)
    tables = markdown(run)
    click.echo(tables)
    if markdown_file is not None:
        markdown_file.write_text(tables, encoding="utf-8")
    if plots is not None:
        for picture in draw(run, plots):
            click.echo(f"drawn: {picture}", err=True)
    if before is not None:
        click.echo(comparison(run, before))


@benchmarks.group()
def peers() -> None:
    """Environments of the tools that are measured beside facesearch."""


@peers.command()
@click.argument("folder", type=_FOLDER)
def make(folder: Path) -> None:
    """Make in FOLDER what is missing; one compiles for ten minutes."""
    from benchmarks.peers.making import make_peers

    make_peers(folder, lambda text: click.echo(text, err=True))


@benchmarks.command()
@_LFW
def ci(lfw: Path) -> None:
    """Run a few cheap ratios; exit with 1 where no noise explains one."""
    from benchmarks.ci import checks, judge_all, photos_at_hand

    with tempfile.TemporaryDirectory() as folder:
        bench = Workbench(Options(lfw.absolute()), Path(folder).resolve())
        bench.photos = photos_at_hand(lfw, Path(folder) / "samples")
        if not judge_all(checks(bench), click.echo):
            raise SystemExit(1)


def _started(options: Options) -> Run:
    return Run(
        datetime.now(UTC).isoformat(timespec="seconds"),
        machine(),
        versions(),
        {"photos": options.photos, "repeats": options.repeats},
    )


def _measure(bench: Workbench, run: Run, names: Sequence[str], out: Path | None) -> Run:
    """One failing does not take the others with it; what is done is written at once."""
    for name in names:
        click.echo(f"measuring: {MEASUREMENTS[name].title}", err=True)
        failures = {key: why for key, why in run.failures.items() if key != name}
        try:
            found = MEASUREMENTS[name].measure(bench)
        except Exception as error:
            why = str(error) if isinstance(error, BenchmarkError) else repr(error)
            click.echo(f"not measured: {why}", err=True)
            run = dataclasses.replace(run, failures={**failures, name: why})
        else:
            measured = {**run.measured, name: found}
            run = dataclasses.replace(run, measured=measured, failures=failures)
        _keep(run, out)
    return run


def _keep(run: Run, out: Path | None) -> None:
    if out is not None:
        out.write_text(run.as_json(), encoding="utf-8")


def main() -> None:
    try:
        benchmarks(prog_name="python -m benchmarks")
    except BenchmarkError as error:
        raise SystemExit(f"benchmarks: {error}") from error


if __name__ == "__main__":
    main()
