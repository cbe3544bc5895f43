"""The facts that travel between rooms, as frozen dataclasses.

All boxes and landmarks are in pixels of the upright original photo (after EXIF orientation, before
any decoding at a smaller size), x to the right and y down, origin at the top left corner.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    """(height, width, 3) RGB, 0..255, upright."""
    Embeddings = NDArray[np.float32]
    """(n, dim), rows of unit length where the recipe says so."""
else:

    def __getattr__(name: str) -> Any:
        """The two types above, which need numpy: who completes a word has no time for it."""
        if name not in ("Pixels", "Embeddings"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import numpy as np
        from numpy.typing import NDArray

        return NDArray[np.uint8] if name == "Pixels" else NDArray[np.float32]


REASONS = {
    "unreadable": "no permission to read it",
    "vanished": "it was gone when its turn came",
    "io-error": "the disk or network gave an error",
    "empty": "the file has no bytes",
    "not-a-photo": "its content is not an image, whatever its name says",
    "truncated": "the file ends too early",
    "damaged": "the image data is broken",
    "unsupported": "a kind of image that cannot be decoded here",
    "too-large": "more pixels than --max-pixels allows",
    "timeout": "it took too long",
    "worker-died": "the process that read it died",
    "model-error": "a network failed on it",
}
"""Why a photo can fail, each with what it means."""

TRANSIENT_REASONS = frozenset({"unreadable", "vanished", "io-error", "timeout", "model-error"})
"""Failures that do not belong to the bytes of a file; such photos are tried again on every run. Not
the photo that two processes died of: it is left alone, as a broken one is, for it would slow runs.
"""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the upright original photo."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height

    @property
    def center(self) -> tuple[float, float]:
        """(x, y) of the middle."""
        return self.x + self.width / 2, self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face; or a whole photo, whose ``box`` is None, without landmarks and of score 1.

    ``landmarks`` are five (x, y): left eye, right eye, nose, left and right mouth corner, left as
    seen by the viewer. ``score`` is the detector's confidence, 0..1. ``sharpness`` is the variance
    of the Laplacian of the grey crop at the extractor's input size, higher is sharper.
    A box that a person drew has no landmarks and score 1.
    """

    box: Box | None
    landmarks: tuple[tuple[float, float], ...]
    score: float
    sharpness: float = 0.0


@dataclass(frozen=True, slots=True)
class PhotoFacts:
    """What is known of a photo's content besides its faces.

    ``content_hash`` is the SHA-256 of the file's bytes (32 bytes), ``pixel_hash`` the BLAKE2b of
    the decoded upright pixels (16 bytes). ``width`` and ``height`` are of the upright original,
    ``scale`` is decoded size over original size (1.0 when decoded whole). ``taken`` is the capture
    time as ISO 8601 without zone, or "" when unknown; ``camera`` is "make model" or "". ``frames``
    counts animation frames or pages; only the first is searched. ``format`` is Pillow's name.
    """

    content_hash: bytes
    pixel_hash: bytes
    width: int
    height: int
    scale: float
    taken: str = ""
    camera: str = ""
    frames: int = 1
    format: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A decoded photo: upright RGB pixels at ``facts.scale`` of the original size."""

    pixels: Pixels
    facts: PhotoFacts


@dataclass(frozen=True, slots=True)
class Failure:
    """One photo that could not be used. ``reason`` is a key of ``REASONS``."""

    path: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class PhotoResult:
    """What became of one photo.

    ``content_hash`` is empty when the bytes could not be read. ``facts`` is None when it failed.
    ``embeddings`` has one row for each of ``faces``.
    """

    content_hash: bytes
    facts: PhotoFacts | None
    faces: tuple[Face, ...]
    embeddings: Embeddings
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class PhotoEntry:
    """A file as the folder lists it. ``key`` is the path relative to its root ("" for a root that
    is itself a file), with "/" between parts, undecodable bytes as surrogates. ``mtime_ns`` is the
    modification time in nanoseconds, as near as 64 bits come to it.
    """

    key: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Neighbor:
    """One line of an answer: a photo (or a face, with ``--by face``) near the query.

    ``id`` is "<first 16 hex digits of the content hash>-<face number>", stable over re-indexing.
    ``path`` exists as printed; ``also`` lists further paths with the same content. ``face`` counts
    from 1 in reading order; it and ``box`` are None where whole photos are compared. ``distance``
    is Euclidean, lower is closer; of unit vectors it is 0..2 and ``similarity`` is their cosine
    (-1..1), which others do not have (None). ``example`` is the path of the query photo that was
    nearest.

    Where the distances of the store are calibrated, ``probability`` is that of one person on both
    faces (0..1), ``expected_false_matches`` how many faces of other people are to be expected up to
    this distance among those searched, ``band`` both in a word: "likely", "possible" or "unlikely".
    Elsewhere they are None, None and "".

    ``similar`` are photos of the same moment or the same pixels that are folded into this line.
    """

    rank: int
    id: str
    path: str
    root: str
    relative_path: str
    also: tuple[str, ...]
    face: int | None
    distance: float
    similarity: float | None
    box: Box | None
    width: int
    height: int
    taken: str
    score: float
    example: str
    probability: float | None = None
    expected_false_matches: float | None = None
    band: str = ""
    similar: tuple[Neighbor, ...] = ()


@dataclass(frozen=True, slots=True)
class QueryFace:
    """A face of the query photo, numbered from 1 in reading order (0: a box drawn by hand)."""

    number: int
    box: Box
    score: float


@dataclass(frozen=True, slots=True)
class Query:
    """What was searched: ``face`` is the number of the face taken (None when there was none, or
    where whole photos are compared, which have no ``faces`` either).

    ``examples`` lists (path, face number) of every photo that the query is made of: one, or
    several with ``--same-person``. ``path`` is "-" for standard input.
    """

    path: str
    face: int | None
    faces: tuple[QueryFace, ...]
    width: int = 0
    height: int = 0
    examples: tuple[tuple[str, int | None], ...] = ()


@dataclass(frozen=True, slots=True)
class QueryError:
    """Why a query has no answer. ``code`` is "no-face" or a key of ``REASONS``."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class QueryResult:
    """One query's neighbours, nearest first, or its error. ``searched`` counts the faces (or whole
    photos) among which they were looked for: those that ``--under`` and ``--exclude-self`` leave.
    With ``by_date`` they are in order of capture time instead; ranks stay those of nearness.
    """

    query: Query
    neighbors: tuple[Neighbor, ...] = ()
    error: QueryError | None = None
    notes: tuple[str, ...] = ()
    searched: int = 0
    by_date: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """An index run that has not ended: ``done`` of ``total`` photos; ``running`` while a process
    works on it, otherwise it was interrupted.
    """

    done: int
    total: int
    running: bool = True


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a query looked through. ``indexed_at`` is ISO 8601 in UTC, e.g.
    "2026-05-01T12:00:00Z". ``subject`` is what a row stands for, "face" or "photo"; ``faces``
    counts the rows in either case.
    """

    faces: int
    photos: int
    without_face: int
    failed: int
    roots_away: int
    indexed_at: str
    progress: Progress | None = None
    subject: str = "face"


@dataclass(frozen=True, slots=True)
class StoreSummary:
    """Which store answered: path, recipe's name, its two digests, dimension."""

    path: str
    recipe: str
    recipe_digest: str
    space_digest: str
    dim: int


@dataclass(frozen=True, slots=True)
class QueryReport:
    """The answer of ``facesearch query``, whatever the format."""

    store: StoreSummary
    coverage: Coverage
    results: tuple[QueryResult, ...]


@dataclass(frozen=True, slots=True)
class RootAway:
    """A root that was not pruned: missing, unreadable or suddenly empty."""

    root: str
    why: str
    kept: int


@dataclass(frozen=True, slots=True)
class IndexSummary:
    """The outcome of ``facesearch index``. Counts are photos unless said otherwise.

    ``seen`` = ``new`` + ``changed`` + ``unchanged`` + ``moved`` + ``copies`` (known content at a
    further path) + ``forgotten`` (left out because they were), failures counted where their file
    belongs; ``usable`` of them did not fail and are not left out.
    ``gone_kept`` counts photos that are gone from disk but kept because more than a tenth went at
    once. ``not_read`` counts files by extension, ``further_pages`` pages and frames beyond the
    first. ``small_faces`` is (N, photos): in so many photos faces under N original pixels could not
    be found. ``device`` is what the networks ran on. ``subject`` is "face", or "photo" where each
    photo is one item; ``faces`` then counts those.
    """

    store: str
    seen: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    moved: int = 0
    copies: int = 0
    forgotten: int = 0
    removed: int = 0
    gone_kept: int = 0
    usable: int = 0
    faces: int = 0
    without_face: int = 0
    failures: tuple[Failure, ...] = ()
    not_read: dict[str, int] = field(default_factory=dict)
    further_pages: int = 0
    small_faces: tuple[tuple[int, int], ...] = ()
    roots_away: tuple[RootAway, ...] = ()
    seconds: float = 0.0
    photos_per_second: float = 0.0
    device: str = ""
    store_bytes: int = 0
    subject: str = "face"

    @property
    def failed(self) -> int:
        """How many photos failed in this run."""
        return len(self.failures)

    @property
    def failed_by_reason(self) -> dict[str, int]:
        """Failures counted by reason, most frequent first."""
        counts: dict[str, int] = {}
        for failure in self.failures:
            counts[failure.reason] = counts.get(failure.reason, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


@dataclass(frozen=True, slots=True)
class IndexPrediction:
    """What ``index --dry-run`` foresees from a timed sample."""

    photos: int
    to_read: int
    sampled: int
    seconds: float
    store_bytes: int
    not_read: dict[str, int] = field(default_factory=dict)
    roots_away: tuple[RootAway, ...] = ()


@dataclass(frozen=True, slots=True)
class SystemRun:
    """What became of one store, where ``index`` fills one for each of several systems.

    ``systems`` are those that share the store, whose recipe has the name ``recipe``. ``outcome`` is
    None where it failed, and ``error`` then says why.
    """

    systems: tuple[str, ...]
    recipe: str
    store: str
    outcome: IndexSummary | IndexPrediction | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One picture of a contact sheet: ``crop`` shows the face, ``view`` the whole photo, small,
    with ``box`` in the view's own pixels; ``lines`` are the texts below.
    """

    crop: Pixels
    view: Pixels
    box: Box | None
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class FaceRow:
    """One face of a store, as it is exported; or a whole photo, without ``face`` and ``box``.

    ``id``, ``path``, ``root``, ``relative_path``, ``also`` and ``face`` are those of ``Neighbor``.
    ``person`` is the photo's label, else the name of its folder. ``content`` is the hash of the
    file's bytes in hex, ``landmarks`` those of ``Face``, where known. ``embedding`` is (dim,), None
    where it was not asked for.
    """

    id: str
    path: str
    root: str
    relative_path: str
    also: tuple[str, ...]
    person: str
    content: str
    face: int | None
    box: Box | None
    landmarks: tuple[tuple[float, float], ...]
    score: float
    sharpness: float
    width: int
    height: int
    taken: str
    camera: str
    embedding: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What a page shows of one photo: the face cut out, and the whole photo, downsized."""

    crop: Pixels
    view: Pixels


@dataclass(frozen=True, slots=True)
class Bound:
    """Up to which distance two faces count as those of one person.

    ``fmr`` is the share of pairs of different people that lie so near or nearer, None where the
    distances are not calibrated. Down to ``least_counted`` such shares are counted, below they are
    a fitted line: ``counted`` says which of both ``fmr`` is.
    """

    max_distance: float
    fmr: float | None = None
    least_counted: float | None = None

    @property
    def counted(self) -> bool:
        """Whether ``fmr`` was counted on pairs, and not foreseen by a line fitted to them."""
        if self.fmr is None or self.least_counted is None:
            return False
        return self.fmr >= self.least_counted * (1 - 1e-9)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the chosen faces of two photos count as one person's, or the ``error`` that kept it
    from being said.

    ``first`` and ``second`` have all faces of each photo and the number of the one compared.
    ``distance`` and ``similarity`` are those of ``Neighbor``. ``fmr`` is the share of pairs of
    different people that lie as near as these two, ``probability`` that of one person if same and
    different were equally likely beforehand; both None where the distances are not calibrated.
    """

    first: Query
    second: Query
    recipe: str
    bound: Bound
    same: bool | None = None
    distance: float | None = None
    similarity: float | None = None
    probability: float | None = None
    fmr: float | None = None
    error: QueryError | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundFaces:
    """All faces of one photo in reading order, or the ``error`` why it could not be read.

    ``content`` is the hash of its bytes in hex; its first 16 digits and a face's number are the
    ``id`` of that face in answers of ``query``. ``width`` and ``height`` are of the upright
    original.
    """

    path: str
    faces: tuple[Face, ...] = ()
    width: int = 0
    height: int = 0
    content: str = ""
    error: QueryError | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at on this machine. ``state`` is "ok", "warning" (it works, but)
    or "problem" (something that is needed is broken); ``remedy`` is what to do, "" for nothing.
    """

    about: str
    state: Literal["ok", "warning", "problem"]
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What works on this machine and what does not."""

    version: str
    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing that is needed is broken."""
        return all(finding.state != "problem" for finding in self.findings)
