"""Asks ``facesearch.verify`` about pairs of LFW's View 2, at the threshold of a false match rate.

    python -m benchmarks.verify_pairs --lfw LFW --pairs PAIRS.txt --sample 600

Prints how many pairs of one person were called so (true accepts) and how many of different people
(false accepts), with 95 % intervals (Wilson), and how many had no answer, which count as called
different. The sample is spread evenly over the file, half of it pairs of one person.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import facesearch
from benchmarks.photos import spread
from facesearch.datasets import Pair, read_pairs
from facesearch.errors import NoFaceError
from facesearch.verifying import DEFAULT_FMR

_NORMAL_95 = 1.959964


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    lfw = os.environ.get("FACESEARCH_LFW", "../shared/lfw")
    parser.add_argument("--lfw", type=Path, default=lfw)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--sample", type=int, default=600, help="pairs in all")
    parser.add_argument("--system", default="facenet")
    parser.add_argument("--fmr", type=float, default=DEFAULT_FMR)
    options = parser.parse_args()
    verifier = facesearch.Verifier(facesearch.IndexOptions(system=options.system))
    pairs = sample(read_pairs(options.pairs), options.sample)
    started = time.perf_counter()
    called = [call(verifier, pair, options.lfw, options.fmr) for pair in pairs]
    result = {
        "system": options.system,
        "fmr": options.fmr,
        **figures([pair.same for pair in pairs], called),
        "seconds": round(time.perf_counter() - started, 1),
    }
    print(json.dumps(result, indent=2))


def sample(pairs: Sequence[Pair], count: int) -> list[Pair]:
    """So many pairs, half of them of one person, evenly over the file."""
    same = [pair for pair in pairs if pair.same]
    different = [pair for pair in pairs if not pair.same]
    return [*spread(same, count // 2), *spread(different, count - count // 2)]


def call(verifier: facesearch.Verifier, pair: Pair, lfw: Path, fmr: float) -> bool | None:
    """Whether the pair is called one person; None where a photo has no face."""
    try:
        return verifier.verify(pair.first.path(lfw), pair.second.path(lfw), fmr=fmr).same
    except NoFaceError:
        return None


def figures(same: Sequence[bool], called: Sequence[bool | None]) -> dict[str, Any]:
    accepted = [said is True for said in called]
    true = sum(yes for yes, mates in zip(accepted, same, strict=True) if mates)
    mates, others = sum(same), len(same) - sum(same)
    return {
        "true_accepts": share(true, mates),
        "false_accepts": share(sum(accepted) - true, others),
        "without_answer": sum(said is None for said in called),
    }


def share(count: int, of: int) -> dict[str, Any]:
    """A share with its 95 % interval by Wilson's score."""
    if not of:
        return {"count": count, "of": of}
    z, mean = _NORMAL_95, count / of
    middle = (mean + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(mean * (1 - mean) / of + z * z / (4 * of * of))
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return {
        "count": count,
        "of": of,
        "share": round(mean, 5),
        "from": round(low, 5),
        "to": round(high, 5),
    }


if __name__ == "__main__":
    main()
