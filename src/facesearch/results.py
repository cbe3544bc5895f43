"""What an evaluation finds, as plain data: enough to draw every table and figure again.

All measures are shares, 0..1, unless said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

State = Literal["done", "weights missing", "failed", "untrained"]
FourNumbers = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure with its 95 % interval (None where there is too little to say)."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a curve, in order of ``x``."""

    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of distances: ``edges`` has one more entry than ``mates`` and ``others``."""

    edges: tuple[float, ...] = ()
    mates: tuple[int, ...] = ()
    others: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RankedPhoto:
    """A photo in an answer. ``path`` is relative to the data set's folder, ``box`` is (x, y, width,
    height) of the face in pixels of the upright photo, None for the whole photo. ``mate``: it shows
    the person asked for.
    """

    path: str
    person: str
    distance: float
    mate: bool
    box: FourNumbers | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A probe and the photos found first, nearest first.

    ``first_mate`` is the rank of the first photo of the same person, None where there is none.
    """

    path: str
    person: str
    box: FourNumbers | None
    first_mate: int | None
    photos: tuple[RankedPhoto, ...]


@dataclass(frozen=True, slots=True)
class PersonScores:
    """The means over one person's probes; ``misses`` are probes without a face."""

    person: str
    group: str
    probes: int
    misses: int
    rank_1: float
    rank_5: float
    map: float
    recall_at_k: dict[int, float]


@dataclass(frozen=True, slots=True)
class Identification:
    """Every photo of some people, each against all others.

    ``protocol`` is "pois" or "all-identities", ``gallery`` "central" (one face a photo) or "all".
    ``unfindable`` are gallery photos without a face; a mate among them counts against recall.
    ``same_in_first`` is the mean number of photos of the same person among the first k with the
    probe's own photo counted, as the course reports do; ``others_in_first`` without it.
    ``cmc`` is the share of probes with a mate among the first 1, 2, ... photos. ``expanded`` says
    that embeddings were averaged with their neighbours. ``groups`` maps a group of people to its
    rank-1 and mean average precision. ``sheets`` hold one answer a person as the course reports
    show them, own photo included; ``hardest`` the probes whose first mate came last.
    """

    protocol: str
    gallery: str
    expanded: bool
    people: int
    probes: int
    misses: int
    photos: int
    unfindable: int
    rank_1: Measure
    rank_5: Measure
    map: Measure
    recall_at_k: dict[int, Measure]
    same_in_first: dict[int, Measure]
    others_in_first: dict[int, Measure]
    cmc: tuple[float, ...]
    distances: Histogram
    per_person: tuple[PersonScores, ...] = ()
    groups: dict[str, dict[str, Measure]] = field(default_factory=dict)
    hardest: tuple[Answer, ...] = ()
    sheets: tuple[Answer, ...] = ()


@dataclass(frozen=True, slots=True)
class Verification:
    """Pairs of photos, same person or not, in folds; each fold's threshold comes from the others.

    ``missing`` are pairs of which a photo has no face; they count as called different.
    ``tar_at_far`` maps a false accept rate ("0.01") to the true accept rate there.
    ``roc`` is (false accept rate, true accept rate).
    """

    pairs: int
    folds: int
    missing: int
    accuracy: Measure
    standard_error: float
    fold_accuracies: tuple[float, ...]
    thresholds: tuple[float, ...]
    auc: Measure
    eer: Measure
    tar_at_far: dict[str, Measure]
    roc: Curve
    distances: Histogram


@dataclass(frozen=True, slots=True)
class OpenSet:
    """Half of the people enrolled, searched for by their other photos and by strangers.

    ``fnir_at_fpir`` maps a false positive identification rate ("0.01": the share of strangers'
    searches that give anyone) to the share of enrolled people's searches that miss them;
    ``thresholds`` to the distance at which that is so. ``det`` is (FPIR, FNIR).
    """

    seed: int
    people_enrolled: int
    photos_enrolled: int
    mated_probes: int
    stranger_probes: int
    misses: int
    fnir_at_fpir: dict[str, Measure]
    thresholds: dict[str, float]
    det: Curve


@dataclass(frozen=True, slots=True)
class Cost:
    """What a system takes. ``photos_per_second`` is None where the store was there already;
    ``seconds_per_query`` is the median from an open photo to its neighbours, ``search_seconds`` the
    share of the search in it; memory is the process's own and its workers' peak.
    """

    photos_per_second: float | None
    seconds_per_query: float | None
    search_seconds: float | None
    store_bytes: int
    peak_memory_bytes: int | None
    dim: int
    rows: int


@dataclass(frozen=True, slots=True)
class SystemResult:
    """One system's row. ``message`` says why it has no figures, ``remedy`` is the command that
    would change that. ``notes`` are what a reader must know, e.g. that a network was trained on the
    photos it is tested on. ``weights`` maps each file of weights to its SHA-256.
    """

    name: str
    title: str
    source: str
    state: State
    message: str = ""
    remedy: str = ""
    notes: tuple[str, ...] = ()
    recipe: str = ""
    recipe_digest: str = ""
    space_digest: str = ""
    search: str = ""
    weights: dict[str, str] = field(default_factory=dict)
    cost: Cost | None = None
    identification: tuple[Identification, ...] = ()
    verification: Verification | None = None
    open_set: OpenSet | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference ``system`` minus ``reference`` in one measure, with the 95 % interval of a
    paired bootstrap over people (pairs for ``accuracy``).
    """

    system: str
    reference: str
    protocol: str
    measure: str
    difference: Measure


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What was evaluated on. ``folder`` is as it was named. ``identical`` are groups of files with
    the same bytes; each file is ranked on its own. ``order`` says which photos a limit took.
    """

    folder: str
    photos: int
    people: int
    failed: int
    identical: tuple[tuple[str, ...], ...] = ()
    limit: int | None = None
    order: str = "path"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that ``facesearch eval`` found. ``versions`` maps packages to versions, ``command`` is
    the command line that repeats it, ``made_at`` ISO 8601 in UTC.
    """

    dataset: DatasetFacts
    systems: tuple[SystemResult, ...]
    comparisons: tuple[Comparison, ...] = ()
    seed: int = 0
    command: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    made_at: str = ""
    schema: int = 1
