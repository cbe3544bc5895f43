"""``facesearch eval``: how well systems find people, with numbers and pictures."""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from facesearch import weights
from facesearch.addresses import StoreName
from facesearch.cli.progress import ProgressBar
from facesearch.cli.stores import (
    choose_gallery,
    choose_store,
    go_on,
    say,
    store_option,
    warn_of_plain,
    warn_of_plain_output,
)
from facesearch.cli.transfer import transfer_bar
from facesearch.errors import EXIT_FAILED, DatasetError, UsageError
from facesearch.systems import ALL, DEFAULT, SYSTEMS, choose_systems, system_with

if TYPE_CHECKING:
    from facesearch.evaluation import Dataset, EvalOptions, Forecast
    from facesearch.records import Pixels
    from facesearch.results import Evaluation, FourNumbers
    from facesearch.store import Store

_FIND = "find"
_PAIRS_NAMES = ("pairs.txt", "lfw_pairs.txt")
_LONG_SECONDS = 60.0
_THUMBNAIL = 96
_AS_ASKED = ("poi_photos", "poi", "gallery", "expand", "components", "seed", "fresh", "offline")


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option(
    "--system",
    "systems",
    metavar="NAME",
    multiple=True,
    help=f"What to measure; repeatable. {', '.join(SYSTEMS)}, or {ALL}.  [default: {DEFAULT}, or "
    "without FOLDER the store's own]",
)
@click.option("--pois", is_flag=True, help="Search for the people with --poi-photos photos.")
@click.option(
    "--poi-photos", type=click.IntRange(min=2), default=6, show_default=True, metavar="N",
    help="How many photos such people have.",
)  # fmt: skip
@click.option("--poi", multiple=True, metavar="NAME", help="Search for this person; repeatable.")
@click.option("--all-identities", is_flag=True, help="Search for everybody with two photos.")
@click.option(
    "--pairs",
    is_flag=False,
    flag_value=_FIND,
    metavar="[FILE]",
    help="Compare the pairs of LFW's View 2 (pairs.txt beside the photos, or FILE).",
)
@click.option("--open-set", is_flag=True, help="Half of the people enrolled, strangers ask too.")
@click.option(
    "--gallery",
    type=click.Choice(["central", "all"]),
    default="central",
    show_default=True,
    help="Enrol each photo's most prominent face, or every face.",
)
@click.option("--expand", is_flag=True, help="Also with embeddings averaged with their neighbours.")
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    metavar="FILE.csv",
    help="Who is on which photo: path or file stem, name, and perhaps a group.",
)
@click.option("--limit", type=click.IntRange(min=2), metavar="N", help="So many photos alone.")
@click.option(
    "--order",
    type=click.Choice(["path", "random"]),
    default="path",
    show_default=True,
    help="Which photos --limit takes: the first by path, or a sample by --seed.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
              help="Of samples, splits and intervals.")  # fmt: skip
@click.option("--components", type=click.IntRange(min=1), metavar="N",
              help="Principal components of vgg16-pca (400; the report also had 700).")  # fmt: skip
@click.option("--fresh", is_flag=True, help="Compute again what an earlier run found.")
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--report", type=click.Path(path_type=Path), metavar="DIR",
              help="Write a page with figures and pictures, tables and all data.")  # fmt: skip
@click.option("--redraw", type=click.Path(path_type=Path), metavar="results.json",
              help="Measure nothing: print and draw what an earlier run found.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Compare more than a million faces without asking.")
@click.option("--offline", is_flag=True, help="Never use the network.")
def evaluate(
    folder: Path | None,
    store: StoreName | None,
    as_json: bool,
    report: Path | None,
    redraw: Path | None,
    **asked: Any,
) -> int:
    """Measure how well people are found in FOLDER, which holds a folder for each person.

    Without FOLDER the one that the store was made from. Stores that a system needs are made first
    and kept in the cache folder, as are results: the same command goes on where it was stopped.
    """
    from facesearch.report.evaluation import render_evaluation

    if report is not None:
        warn_of_plain(choose_gallery(store), report)
    if redraw is not None:
        _require_alone(asked)
        found, folder = _read_again(redraw, folder)
    else:
        folder, pairs = _folder_and_pairs(folder, asked.pop("pairs"))
        chosen = choose_store(store)
        warn_of_plain(chosen, weights.home() / "eval")
        found, folder = _measured(folder, chosen, asked | {"pairs": pairs})
    if report is not None:
        _write_report(found, report, folder)
    warn_of_plain_output(choose_gallery(store))
    click.echo(render_evaluation(found, as_json), nl=False)
    usable = any(system.state in ("done", "untrained") for system in found.systems)
    return 0 if usable else EXIT_FAILED


def _require_alone(asked: dict[str, Any]) -> None:
    """Refuses what would measure beside ``--redraw``.

    Raises:
        UsageError: see the message.
    """
    measuring = ("systems", "pois", "poi", "all_identities", "pairs", "open_set", "expand", "fresh",
                 "labels", "limit", "components")  # fmt: skip
    for name in measuring:
        if asked[name]:
            option = {"systems": "system"}.get(name, name).replace("_", "-")
            raise UsageError(f"--redraw measures nothing; leave out --{option}")


def _folder_and_pairs(folder: Path | None, pairs: str | None) -> tuple[Path | None, str | None]:
    """``--pairs lfw`` names the folder where nothing else does."""
    if pairs not in (None, _FIND) and folder is None and os.path.isdir(str(pairs)):  # noqa: PTH112
        return Path(str(pairs)), _FIND
    return folder, pairs


def _measured(folder: Path | None, store: Path, asked: dict[str, Any]) -> tuple[Evaluation, Path]:
    from facesearch.evaluation import EvalHooks, evaluate
    from facesearch.indexing import IndexHooks

    systems = choose_systems(asked["systems"] or (DEFAULT,))
    named = str(folder)
    if folder is None:
        held = _held(store)
        folder = _indexed_folder(held)
        if not asked["systems"]:
            systems = [system_with(held.recipe)]
        named = str(folder)
    folder = Path(os.path.abspath(folder))
    dataset = _dataset(folder, asked)
    options = _options(dataset, asked)
    with ProgressBar() as bar:
        index = IndexHooks(bar.show, bar.say, transfer_bar)
        hooks = EvalHooks(bar.say, _foresee, partial(go_on, asked["yes"]), index)
        found = evaluate(dataset, systems, store, options, hooks)
    shown = dataclasses.replace(found.dataset, folder=named)
    command = shlex.join(["facesearch", *sys.argv[1:]])
    return dataclasses.replace(found, dataset=shown, command=command), folder


def _held(path: Path) -> Store:
    """The store whose folder is meant where none is named.

    Raises:
        UsageError: there is no store.
    """
    from facesearch.store import Store

    if not path.exists():
        raise UsageError(f"{path}: no store here; name the folder: facesearch eval FOLDER")
    say(f"store: {path}")
    return Store.open(path)


def _indexed_folder(held: Store) -> Path:
    """The folder that the store was made from.

    Raises:
        UsageError: it has several.
    """
    folders = [root.resolve(held.folder) for root in held.roots]
    if len(folders) != 1:
        named = ", ".join(str(folder) for folder in folders)
        raise UsageError(f"{held.path}: made from {len(folders)} folders ({named}); name one")
    if not isinstance(folders[0], Path):
        raise UsageError(f"{folders[0]}: eval needs a folder on this machine; copy it there")
    return folders[0]


def _dataset(folder: Path, asked: dict[str, Any]) -> Dataset:
    from facesearch.datasets import read_labels
    from facesearch.evaluation import Limit, read_dataset

    photos, labels = asked["limit"], asked["labels"]
    limit = None if photos is None else Limit(photos, asked["order"], asked["seed"])
    return read_dataset(folder, None if labels is None else read_labels(labels, folder), limit)


def _options(dataset: Dataset, asked: dict[str, Any]) -> EvalOptions:
    from facesearch.evaluation import EvalOptions

    flags = {
        "pois": asked["pois"] or bool(asked["poi"]),
        "all-identities": asked["all_identities"],
        "pairs": asked["pairs"] is not None,
        "open-set": asked["open_set"],
    }
    protocols = tuple(name for name, wanted in flags.items() if wanted)
    if not protocols:
        has_pois = asked["poi_photos"] in dataset.counts.values()
        protocols = ("pois",) if has_pois else ("all-identities",)
    return EvalOptions(
        protocols=protocols,
        pairs=_pairs_file(asked["pairs"], dataset.folder),
        **{name: asked[name] for name in _AS_ASKED},
    )


def _pairs_file(pairs: str | None, folder: Path) -> Path | None:
    """The file named, or the one that lies in the folder or beside it.

    Raises:
        DatasetError: there is none.
    """
    if pairs is None:
        return None
    if pairs != _FIND:
        return Path(pairs)
    for place in (folder, folder.parent):
        for name in _PAIRS_NAMES:
            if (place / name).is_file():
                return place / name
    raise DatasetError(
        f"{folder}: neither in it nor beside it is {' or '.join(_PAIRS_NAMES)}; name the file with "
        "--pairs FILE, or bring it with facesearch datasets pull lfw"
    )


def _foresee(forecasts: Sequence[Forecast]) -> None:
    """A table of what a long run will take, on standard error."""
    from facesearch.report import size

    if sum(forecast.seconds for forecast in forecasts) < _LONG_SECONDS:
        return
    say(f"{'system':<24} {'to index':>9} {'about':>10} {'memory':>9} {'store':>9}")
    for each in forecasts:
        say(
            f"{each.system:<24} {each.to_read:>9,} {_minutes(each.seconds):>10} "
            f"{size(each.memory_bytes):>9} {size(each.disk_bytes):>9}"
        )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:,.0f} min" if seconds >= _LONG_SECONDS else f"{seconds:.0f} s"


def _read_again(redraw: Path, folder: Path | None) -> tuple[Evaluation, Path]:
    from facesearch.report.evaluation import read_evaluation

    found = read_evaluation(redraw)
    return found, folder if folder is not None else Path(found.dataset.folder)


def _write_report(found: Evaluation, target: Path, folder: Path) -> None:
    from facesearch.report.evaluation import write_report

    def picture(path: str, box: FourNumbers | None) -> Pixels | None:
        from facesearch.tiles import thumbnail

        return thumbnail(folder / path, box, _THUMBNAIL)

    written = write_report(found, target, picture)
    say(f"report: {target / 'index.html'} and {len(written) - 1} more files")
