"""The ranges of a network's values, watched once on many faces, from which 8-bit steps follow."""

from __future__ import annotations

import json
from importlib.resources import files

from facesearch.errors import ModelError
from facesearch.runtimes.graphs.eight_bit import Ranges


def ranges_of(name: str) -> Ranges:
    """What was watched in the network ``name``.

    Raises:
        ModelError: none were watched for this network.
    """
    source = files("facesearch.runtimes").joinpath("ranges", f"{name}.json")
    try:
        held = json.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(
            f"no ranges of values are known for {name}; use --precision float32"
        ) from error
    ends = {value: (float(low), float(high)) for value, (low, high) in held["ranges"].items()}
    return Ranges(ends, held["means"])
