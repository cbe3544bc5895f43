"""``facesearch faces``: what faces are on photos, and pictures of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from facesearch.cli.numbers import number
from facesearch.cli.pictures import plain_name, refuse_others, require_picture
from facesearch.cli.query import asked_photos
from facesearch.cli.runtimes import detail_choice, detector_choices
from facesearch.cli.stores import say
from facesearch.cli.transfer import report_line, transfer_bar
from facesearch.errors import EXIT_FAILED, EXIT_NO_FACE, FacesearchError
from facesearch.records import FoundFaces, Photo, QueryFace

_DRAWN = "picture of numbered faces"


@click.command()
@click.argument("photos", metavar="PHOTO|FOLDER|-...", nargs=-1, required=True)
@click.option(
    "--draw",
    type=click.Path(path_type=Path),
    metavar="FILE.png",
    help="Draw the photo with its faces numbered; of several, FILE-2.png and so on.",
)
@click.option(
    "--crops",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Cut every face out into a file of its own in this folder.",
)
@click.option("--min-face", type=click.IntRange(min=1), metavar="PX", help="Smallest face.")
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    callback=number,
    help="Lowest detection score, 0 to 1.",
)
@detail_choice
@detector_choices
@click.option("--offline", is_flag=True, help="Never use the network.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def faces(
    photos: tuple[str, ...],
    draw: Path | None,
    crops: Path | None,
    min_face: int | None,
    min_score: float | None,
    detail: str | None,
    device: str,
    runtime: str,
    offline: bool,
    as_json: bool,
) -> int:
    """Show the faces on photos: boxes, landmarks, scores, sharpness."""
    from facesearch import finding
    from facesearch.index_options import IndexOptions
    from facesearch.report.found_faces import faces_json, faces_table
    from facesearch.runtimes import Fetch

    if draw is not None:
        require_picture(draw, _DRAWN)
    pictures = _Pictures(draw, crops)
    options = IndexOptions(
        min_face=min_face,
        min_score=min_score,
        detail=detail,
        device=device,
        runtime=runtime,
        offline=offline,
    )
    finder = finding.finder_for(options, Fetch(offline, report_line, transfer_bar))
    asked = asked_photos(photos, offline)
    found = list(finding.find_faces(finder, asked, pictures))
    for each in found if as_json else ():
        if each.error is not None:
            say(f"facesearch: {each.error.message}")
    rendered = faces_json(found, pictures.drawn, pictures.cut) if as_json else faces_table(found)
    sys.stdout.buffer.write(rendered)
    sys.stdout.buffer.flush()
    pictures.tell()
    return _exit_code(found)


class _Pictures:
    """Draws photos and cuts out faces as they come by; only their owner can read what it writes."""

    def __init__(self, draw: Path | None, crops: Path | None) -> None:
        """Makes the folder for the crops.

        Raises:
            FacesearchError: it cannot be made.
        """
        from facesearch import private

        self.drawn: dict[str, str] = {}
        self.cut: dict[tuple[str, int], str] = {}
        self._draw = draw
        self._crops = crops
        if crops is None:
            return
        try:
            private.make_folder(crops)
        except OSError as error:
            raise FacesearchError(
                f"{crops}: the folder cannot be made ({error.strerror}); name another"
            ) from error

    def __call__(self, photo: Photo, found: FoundFaces) -> None:
        """Draws one photo.

        Raises:
            FacesearchError: a picture cannot be written, or would replace something else.
        """
        if not found.faces:
            return
        if self._draw is not None:
            self._draw_numbered(photo, found, self._draw)
        if self._crops is not None:
            self._cut_out(photo, found, self._crops)

    def tell(self) -> None:
        """Says where the pictures lie."""
        from facesearch.report import count

        for target in self.drawn.values():
            say(f"faces numbered in {target}")
        if self._crops is not None:
            files = len(set(self.cut.values()))
            say(f"{count(files, 'face')} cut out into {self._crops.absolute()}")
        if self._draw is not None and not self.drawn:
            say(f"{self._draw}: not drawn, there is no face to number")

    def _draw_numbered(self, photo: Photo, found: FoundFaces, target: Path) -> None:
        from facesearch.report.numbered_faces import numbered_faces
        from facesearch.report.picture_file import write_png

        if self.drawn:
            target = target.with_stem(f"{target.stem}-{len(self.drawn) + 1}")
            refuse_others(target, _DRAWN)
        boxes = [
            QueryFace(place, face.box, face.score)
            for place, face in enumerate(found.faces, start=1)
            if face.box is not None
        ]
        write_png(numbered_faces(photo.pixels, boxes, photo.facts.scale, None), target)
        self.drawn[found.path] = str(target.absolute())

    def _cut_out(self, photo: Photo, found: FoundFaces, folder: Path) -> None:
        from PIL import Image

        from facesearch.report.picture_file import write_png
        from facesearch.tiles import around

        # The content is part of the name: other photos of that name never replace these faces.
        stem = f"{plain_name(found.path, 'photo')}-{found.content[:16]}"
        for place, face in enumerate(found.faces, start=1):
            if face.box is None:
                continue
            target = folder / f"{stem}-{place}.png"
            refuse_others(target, "face cut out")
            write_png(Image.fromarray(around(photo, face.box)), target)
            self.cut[found.path, place] = str(target.absolute())


def _exit_code(found: Sequence[FoundFaces]) -> int:
    if any(each.faces for each in found):
        return 0
    read = any(each.error is None for each in found)
    return EXIT_NO_FACE if read else EXIT_FAILED
