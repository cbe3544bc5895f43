"""What can be measured: one file each, one line to register it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.measurements.again import measure_again
from benchmarks.measurements.cold_query import measure_cold_query
from benchmarks.measurements.index import measure_index
from benchmarks.measurements.large import measure_large
from benchmarks.measurements.networks import measure_networks
from benchmarks.measurements.peers import measure_peers
from benchmarks.measurements.runtimes import measure_runtimes
from benchmarks.measurements.search import measure_search
from benchmarks.measurements.setup import measure_setup
from benchmarks.measurements.sizes import measure_sizes
from benchmarks.measurements.warm_query import measure_warm_query
from benchmarks.results import Measured
from benchmarks.workbench import Workbench


@dataclass(frozen=True, slots=True)
class Measurement:
    """``by_default`` are those that a run without --only makes."""

    title: str
    measure: Callable[[Workbench], Measured]
    by_default: bool = True


MEASUREMENTS = {
    "index": Measurement("Indexing", measure_index),
    "again": Measurement("Indexing again, nothing has changed", measure_again),
    "runtimes": Measurement("Indexing, runtime by runtime", measure_runtimes),
    "networks": Measurement("The networks alone against the whole pipeline", measure_networks),
    "cold-query": Measurement("A query in a new process", measure_cold_query),
    "warm-query": Measurement("A query through an open gallery", measure_warm_query),
    "search": Measurement("Search alone", measure_search),
    "large": Measurement("Large photos", measure_large),
    "peers": Measurement("Other tools on the same photos", measure_peers),
    "sizes": Measurement("Galleries of any size", measure_sizes, by_default=False),
    "setup": Measurement("Set-up", measure_setup, by_default=False),
}
