"""``facesearch verify``: one person on two photos, or two."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from facesearch.cli.numbers import number
from facesearch.cli.query import asked_photos, box_option
from facesearch.cli.runtimes import detail_choice, runtime_choices
from facesearch.cli.stores import say
from facesearch.cli.transfer import report_line, transfer_bar
from facesearch.errors import EXIT_DIFFERENT, EXIT_FAILED, EXIT_NO_FACE, UsageError
from facesearch.records import Box, Verdict

if TYPE_CHECKING:
    from facesearch.querying import Asked


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option(
    "--fmr",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    callback=number,
    metavar="RATE",
    help="The share of pairs of different people that may count as one (1e-3).",
)
@click.option(
    "--max-distance",
    type=click.FloatRange(min=0),
    callback=number,
    metavar="D",
    help="Count as one person up to this distance (0 to 2), in place of --fmr.",
)
@click.option("--face-a", type=int, metavar="N", help="Which face of A, by its number.")
@click.option("--face-b", type=int, metavar="N", help="Which face of B.")
@click.option(
    "--box-a",
    callback=box_option,
    metavar="X,Y,W,H",
    help="Where A's face is, in pixels of the upright photo, when none is found.",
)
@click.option("--box-b", callback=box_option, metavar="X,Y,W,H", help="Where B's face is.")
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    callback=number,
    help="Lowest detection score of a face, 0 to 1.",
)
@detail_choice
@click.option("--system", metavar="NAME", help="Embed as this system does (facenet).")
@click.option("--model", metavar="NAME", help="Embed by this network (facenet-128).")
@runtime_choices
@click.option("--offline", is_flag=True, help="Never use the network.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(
    a: str,
    b: str,
    fmr: float | None,
    max_distance: float | None,
    face_a: int | None,
    face_b: int | None,
    box_a: Box | None,
    box_b: Box | None,
    min_score: float | None,
    detail: str | None,
    system: str | None,
    model: str | None,
    device: str,
    runtime: str,
    precision: str,
    offline: bool,
    as_json: bool,
) -> int:
    """Say whether photos A and B show one person ("-" reads one from standard input)."""
    from facesearch import verifying
    from facesearch.index_options import IndexOptions, looking_spec
    from facesearch.processing import LazyPipeline
    from facesearch.report.verdict import failure_line, render_verdict
    from facesearch.runtimes import Fetch

    options = verifying.VerifyOptions(fmr, max_distance, (face_a, face_b), (box_a, box_b))
    looked = IndexOptions(
        model=model,
        system=system,
        min_score=min_score,
        detail=detail,
        device=device,
        runtime=runtime,
        precision=precision,
        offline=offline,
    )
    spec = looking_spec(looked)
    verifying.bound_of(spec.recipe, options)  # what cannot be meant is told before a photo is read
    first, second = _two(a, b, offline)
    fetch = Fetch(offline, report_line, transfer_bar)
    embedder = LazyPipeline(spec, partial(spec.make_ready, fetch))
    verdict = verifying.verify(embedder, spec.recipe, first, second, options)
    if verdict.error is not None:
        say(f"facesearch: {failure_line(verdict)}")
    sys.stdout.buffer.write(render_verdict(verdict, json=as_json))
    sys.stdout.buffer.flush()
    return _exit_code(verdict)


def _two(a: str, b: str, offline: bool) -> tuple[Asked, Asked]:
    if a == b == "-":
        raise UsageError("standard input holds one photo; name the other one")
    found = []
    for name in (a, b):
        photos = list(asked_photos([name], offline))
        if len(photos) != 1:
            raise UsageError(f"{name}: a folder with {len(photos):,} photos; name one of them")
        found += photos
    return found[0], found[1]


def _exit_code(verdict: Verdict) -> int:
    if verdict.error is not None:
        return EXIT_NO_FACE if verdict.error.code == "no-face" else EXIT_FAILED
    return 0 if verdict.same else EXIT_DIFFERENT
