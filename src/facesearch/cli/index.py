"""``facesearch index``: reads folders of photos into a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from facesearch.addresses import EngineAddress, StoreName
from facesearch.cli.index_systems import SystemStore, run_in_turn, stores_of
from facesearch.cli.numbers import number
from facesearch.cli.passphrases import passphrase_wish
from facesearch.cli.runtimes import detail_choice, runtime_choices
from facesearch.cli.stores import (
    choose_gallery,
    lies_encrypted,
    remember,
    say_store,
    store_option,
    warn_of_plain,
)
from facesearch.cli.transfer import transfer_bar
from facesearch.errors import EXIT_FAILED, UsageError
from facesearch.locations import Location, as_location
from facesearch.records import IndexPrediction, IndexSummary

if TYPE_CHECKING:
    from facesearch.index_options import IndexOptions


def cluster_address(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    """Refuses an address that no cluster engine knows, before anything is read."""
    if value is not None:
        from facesearch.clusters import engine_of

        engine_of(value)
    return value


@click.command()
@click.argument("paths", metavar="[FOLDER|FILE]...", nargs=-1, type=as_location)
@store_option
@click.option(
    "--exclude",
    metavar="GLOB",
    multiple=True,
    help="Leave out files and folders by name or relative path; repeatable, remembered.",
)
@click.option("--forget-excludes", is_flag=True, help="Forget the patterns of earlier runs.")
@click.option(
    "--model", metavar="NAME", help="Embedding network of a new store: facenet-128 or facenet-512."
)
@click.option(
    "--system",
    "systems",
    metavar="NAME|all",
    multiple=True,
    help="Index as this published system does; several, or all, get a store each.",
)
@click.option(
    "--min-face",
    type=click.IntRange(min=1),
    metavar="PX",
    help="Smallest face, in pixels of the original photo (20, or 2 % of the shorter side).",
)
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    callback=number,
    help="Lowest detection score, 0 to 1.",
)
@click.option(
    "--max-side",
    type=click.IntRange(min=64),
    metavar="PX",
    help="Decode larger photos down to this (2048).",
)
@detail_choice
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    metavar="N",
    help="Refuse photos of which more pixels had to be decoded (200,000,000; 0.7 to 3.2 GB each).",
)
@click.option(
    "--timeout",
    "item_timeout",
    type=click.FloatRange(min=0, min_open=True),
    callback=number,
    default=120,
    show_default=True,
    metavar="SECONDS",
    help="How long one photo may take.",
)
@click.option("--jobs", type=click.IntRange(min=1), help="Worker processes (one a core).")
@click.option(
    "--cluster",
    metavar="auto|local|ray://HOST:10001",
    callback=cluster_address,
    help="Read the photos on a Ray cluster; the extra ray.",
)
@runtime_choices
@click.option("--prune", is_flag=True, help="Remove photos that are gone, even if many are.")
@click.option(
    "--rebuild", is_flag=True, help="Read everything anew; the old store stays till then."
)
@click.option("--redetect", is_flag=True, help="Accept other detection options: read all anew.")
@click.option(
    "--verify-content",
    is_flag=True,
    help="Hash known files too, to find edits that kept size and time.",
)
@click.option("--retry", is_flag=True, help="Read again what failed before, though unchanged.")
@click.option("--wait", is_flag=True, help="Wait while another process writes the store.")
@click.option("--encrypt", is_flag=True, help="Keep the store under a passphrase; needs an extra.")
@click.option("--offline", is_flag=True, help="Never use the network.")
@click.option("--dry-run", is_flag=True, help="Time a sample; predict duration and size.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@click.option(
    "--log",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the summary as JSON to a file too.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 when any photo failed.")
def index(
    paths: tuple[Location, ...],
    store: StoreName | None,
    systems: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
    log: Path | None,
    strict: bool,
    **settings: Any,
) -> int:
    """Find every face in folders of photos; what is known already is not read again.

    A FOLDER may be in object storage: s3://BUCKET/FOLDER or gs://. Without FOLDER the folders
    indexed before are refreshed. Photo files are never written.
    """
    from facesearch.cli.run_log import require_log, write_log
    from facesearch.index_options import IndexOptions
    from facesearch.report import render_system_runs

    stores = stores_of(systems, choose_gallery(store))
    if not settings["encrypt"]:
        for each in stores:
            _require_encrypted(each.path)
    if log is not None:
        for each in stores:
            require_log(log, each.path)
            warn_of_plain(each.path, log, soon=settings["encrypt"])

    def run(target: SystemStore) -> IndexSummary | IndexPrediction:
        options = IndexOptions(**settings, system=target.system)
        return _run(paths, target.path, options, dry_run)

    if len(stores) == 1 and not stores[0].shared:
        outcome = run(stores[0])
        click.echo(_rendered(outcome, as_json), nl=False)
        if log is not None and not dry_run:
            write_log(log, _rendered(outcome, True))
        return _exit_code(outcome, strict)
    runs = run_in_turn(stores, run, quiet=as_json)
    if as_json:
        click.echo(render_system_runs(runs), nl=False)
    if log is not None and not dry_run:
        write_log(log, render_system_runs(runs))
    return max(_exit_code(each.outcome, strict) for each in runs)


def _require_encrypted(store: StoreName) -> None:
    """Refuses a passphrase for what would be written in plain all the same.

    Raises:
        UsageError: one was given as an option.
    """
    wish = passphrase_wish()
    if not wish or lies_encrypted(store):
        return
    if isinstance(store, EngineAddress):
        raise UsageError(f"{store}: {wish} is for store files; leave it out")
    state = "is not encrypted" if store.exists() else "would not be encrypted"
    raise UsageError(f"{store}: {state}; add --encrypt to {wish}, or leave that out")


def _run(
    paths: tuple[Location, ...], store: StoreName, options: IndexOptions, dry_run: bool
) -> IndexSummary | IndexPrediction:
    from facesearch import indexing
    from facesearch.cli.progress import ProgressBar
    from facesearch.predicting import predict

    with ProgressBar() as bar:
        hooks = indexing.IndexHooks(bar.show, bar.say, transfer_bar)
        say_store(store)
        if dry_run:
            return predict(paths, store, options, hooks)
        summary = indexing.index(paths, store, options, hooks)
    remember(store)
    return summary


def _rendered(outcome: IndexSummary | IndexPrediction, json: bool) -> bytes:
    from facesearch.report import render_index_summary, render_prediction

    if isinstance(outcome, IndexSummary):
        return render_index_summary(outcome, json)
    return render_prediction(outcome, json)


def _exit_code(outcome: IndexSummary | IndexPrediction | None, strict: bool) -> int:
    if isinstance(outcome, IndexPrediction):
        return 0
    done = outcome is not None and outcome.usable and not (strict and outcome.failed)
    return 0 if done else EXIT_FAILED
