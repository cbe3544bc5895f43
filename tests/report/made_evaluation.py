"""Made-up evaluations: systems with results, without weights, untrained and failed."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass

from facesearch.results import (
    Answer,
    Comparison,
    Cost,
    Curve,
    DatasetFacts,
    Evaluation,
    Histogram,
    Identification,
    Measure,
    OpenSet,
    PersonScores,
    RankedPhoto,
    SystemResult,
    Verification,
)

SHEET = 26


@dataclass(frozen=True)
class Photos:
    """Who is on which photos: the people of interest, and one photo each of others."""

    people: dict[str, list[str]]
    others: list[tuple[str, str]]

    @property
    def count(self) -> int:
        return sum(map(len, self.people.values())) + len(self.others)


def invented(people: int = 4, others: int = 40) -> Photos:
    names = [f"Person_{letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[:people]]
    return Photos(
        {name: [f"{name}/{name}_{place:04d}.jpg" for place in range(1, 7)] for name in names},
        [(f"Other_{place}/Other_{place}_0001.jpg", f"Other_{place}") for place in range(others)],
    )


class Maker:
    """Makes one system's results, good to the degree of ``skill`` (0..1)."""

    def __init__(self, photos: Photos, skill: float, whole: bool = False) -> None:
        self.photos = photos
        self.skill = skill
        self.whole = whole
        self.random = random.Random(skill)

    def measure(self, value: float, spread: float = 0.02) -> Measure:
        return Measure(value, max(0.0, value - spread), min(1.0, value + spread))

    def answer(self, person: str, path: str) -> Answer:
        box = None if self.whole else (68.0, 68.0, 114.0, 114.0)
        mates = [mate for mate in self.photos.people[person] if mate != path]
        order = [(mate, person, self.random.gauss(1.2 - 0.75 * self.skill, 0.14)) for mate in mates]
        order += [(*other, self.random.gauss(1.25, 0.1)) for other in self.photos.others]
        order.sort(key=lambda entry: entry[2])
        ranked = [RankedPhoto(path, person, 0.0, True, box)]
        ranked += [
            RankedPhoto(other, name, round(max(0.01, distance), 4), name == person, box)
            for other, name, distance in order
        ]
        first = next(rank for rank, (_, name, _) in enumerate(order, 1) if name == person)
        return Answer(path, person, box, first, tuple(ranked[:SHEET]))

    def identification(self, protocol: str = "pois", expanded: bool = False) -> Identification:
        sheets = [self.answer(name, paths[0]) for name, paths in self.photos.people.items()]
        probes = [
            self.answer(name, path) for name, paths in self.photos.people.items() for path in paths
        ]
        wrong = sorted(probes, key=lambda answer: -(answer.first_mate or 0))[:6]
        hardest = [
            Answer(one.path, one.person, one.box, one.first_mate, one.photos[1:11])
            for one in wrong
            if one.first_mate != 1
        ]
        ranks = [answer.first_mate or 0 for answer in probes]
        cmc = tuple(sum(0 < first <= rank for first in ranks) / len(ranks) for rank in range(1, 51))
        rank_1 = cmc[0]
        return Identification(
            protocol=protocol,
            gallery="central",
            expanded=expanded,
            people=len(self.photos.people),
            probes=len(probes),
            misses=0 if self.whole else 1,
            photos=self.photos.count,
            unfindable=0,
            rank_1=self.measure(rank_1),
            rank_5=self.measure(cmc[4]),
            map=self.measure(rank_1 * 0.96),
            recall_at_k={k: self.measure(rank_1 * 0.97) for k in (5, 19, 20)},
            same_in_first={k: Measure(1 + 5 * rank_1, 5.1 * rank_1, 6.0) for k in (20, 25)},
            others_in_first={k: Measure(5 * rank_1, 4.8 * rank_1, 5.0) for k in (20, 25)},
            cmc=cmc,
            distances=self.histogram(),
            per_person=tuple(
                PersonScores(name, "", 6, 0, rank_1, cmc[4],
                             min(1.0, max(0.0, self.random.gauss(rank_1, 0.06))),
                             {19: rank_1, 20: rank_1})
                for name in self.photos.people
            ),
            hardest=tuple(hardest),
            sheets=tuple(sheets) if protocol == "pois" else (),
        )  # fmt: skip

    def histogram(self) -> Histogram:
        edges = tuple(round(place * 0.02, 2) for place in range(81))
        middles = [(low + high) / 2 for low, high in itertools.pairwise(edges)]
        near, far = 1.1 - 0.6 * self.skill, 1.25
        return Histogram(
            edges,
            tuple(round(900 * math.exp(-(((x - near) / 0.16) ** 2))) for x in middles),
            tuple(round(52_000 * math.exp(-(((x - far) / 0.11) ** 2))) for x in middles),
        )

    def verification(self) -> Verification:
        rates = [0.0, *(10 ** (place / 20 - 3.5) for place in range(71))]
        accepts = [min(1.0, 1 - (1 - self.skill) * (1 - rate) ** 3 * 0.9) for rate in rates]
        accepts[-1] = 1.0
        value = 0.5 + 0.5 * self.skill
        return Verification(
            pairs=6000,
            folds=10,
            missing=2,
            accuracy=self.measure(value, 0.003),
            standard_error=0.0012,
            fold_accuracies=tuple(min(1.0, value + self.random.gauss(0, 0.003)) for _ in range(10)),
            thresholds=tuple(0.92 + self.random.gauss(0, 0.01) for _ in range(10)),
            auc=self.measure(0.5 + 0.499 * self.skill, 0.002),
            eer=self.measure((1 - self.skill) / 2, 0.002),
            tar_at_far={rate: self.measure(self.skill ** (1 + place), 0.004)
                        for place, rate in enumerate(("0.01", "0.001"))},
            roc=Curve(tuple(rates), tuple(accepts)),
            distances=self.histogram(),
        )  # fmt: skip

    def open_set(self) -> OpenSet:
        rates = [10 ** (place / 25 - 3.6) for place in range(91)]
        missed = [min(1.0, (1.05 - self.skill) * (1 - math.log10(rate) / 2)) for rate in rates]
        return OpenSet(
            seed=0,
            people_enrolled=840,
            photos_enrolled=2800,
            mated_probes=1690,
            stranger_probes=4100,
            misses=1,
            fnir_at_fpir={rate: self.measure(min(1.0, (1.05 - self.skill) * (1 + place)), 0.01)
                          for place, rate in enumerate(("0.1", "0.01", "0.001"))},
            thresholds={"0.1": 0.9, "0.01": 0.8, "0.001": math.inf if self.skill < 0.5 else 0.7},
            det=Curve(tuple(rates), tuple(missed)),
        )  # fmt: skip


def system(photos: Photos, name: str, title: str, skill: float, **changes) -> SystemResult:
    make = Maker(photos, skill, whole=changes.pop("whole", False))
    identification = [make.identification(), make.identification("all-identities")]
    if changes.pop("expanded", False):
        better = Maker(photos, min(1.0, skill + 0.05), make.whole)
        identification.append(better.identification(expanded=True))
    return SystemResult(
        name=name,
        title=title,
        source="facesearch",
        state="done",
        recipe='{"name": "' + name + '"}',
        recipe_digest="ab" * 32,
        space_digest="cd" * 32,
        search="sklearn, k 25",
        weights={"facenet_keras.h5": "6a" * 32},
        cost=Cost(36.7, 0.35, 0.012, 9_400_000, 1_900_000_000, 128, photos.count),
        identification=tuple(identification),
        verification=make.verification(),
        open_set=make.open_set(),
        **changes,
    )


TRAINED_ON_IT = "its network was trained on the photos it is tested on"


def made_evaluation(photos: Photos | None = None, folder: str = "photos") -> Evaluation:
    photos = photos or invented()
    best = system(photos, "facenet-best", "each face averaged with its mirror image", 0.99)
    return Evaluation(
        dataset=DatasetFacts(
            folder, photos.count, len(photos.people) + len(photos.others), 0,
            identical=tuple((f"A/{place}.jpg", f"B/{place}.jpg") for place in range(7)),
        ),
        systems=(
            system(photos, "facenet", "MTCNN, five-point alignment, FaceNet 128-d", 0.97,
                   expanded=True),
            best,
            system(photos, "small-cnn", "three convolutions trained on LFW", 0.15, whole=True,
                   notes=(TRAINED_ON_IT,),
                   ),
            SystemResult("vgg16-l2", "VGG16 fc1 of the whole photo", "first course report",
                         "weights missing", message="vgg16: no weights in the models folder",
                         remedy="facesearch models pull vgg16"),
            SystemResult("inception-resnet-v2", "InceptionResNetV2", "second course report",
                         "untrained", message="seeded random weights (seed 0)",
                         notes=("the path was run through, no more",),
                         identification=(Maker(photos, 0.123).identification(),),
                         verification=Maker(photos, 0.123).verification()),
            SystemResult("efficientnet-v2l", "EfficientNetV2L", "second course report", "failed",
                         message="not enough memory: 9.1 GB wanted, 4.0 GB there",
                         remedy="facesearch eval --system efficientnet-v2l --limit 500"),
        ),
        comparisons=(
            Comparison("facenet-best", "facenet", "pois", "map", Measure(0.0042, -0.001, 0.0094)),
            Comparison("facenet-best", "facenet", "pairs", "accuracy",
                       Measure(0.0021, 0.0003, 0.0039)),
            Comparison("small-cnn", "facenet", "pois", "rank_1", Measure(-0.9, -0.94, -0.86)),
        ),
        seed=7,
        command="facesearch eval photos --pois --pairs --open-set --system all --report out",
        versions={"facesearch": "0.1.0", "numpy": "2.4.6", "tensorflow": "2.20.0"},
        made_at="2026-05-04T09:30:00Z",
    )  # fmt: skip
