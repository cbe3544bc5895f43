"""The actor that runs Ray Data where the cluster is, and hands its results on one by one.

Ray Data cannot run over a ``ray://`` connection; in an actor it runs the same in every case, and
beside the run that writes, not in it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from facesearch.clusters.ray.reader import COLUMN, Reader, ReaderSpec

_RETRIES = 10
"""How often a block is tried whose reader's process dies. What a photo does to its own process does
not count; a machine that goes away, or is out of memory, does."""


@dataclass(frozen=True, slots=True)
class Readers:
    """How many readers, and what each takes of its machine: processors, GPUs, bytes of memory.

    ``shared``: the machines may be busy with other work, so that it begins with those there are.
    """

    count: int
    cpus: float = 1.0
    gpus: float = 0.0
    memory: int = 0
    shared: bool = False


class Conductor:
    """Takes tables of blocks, then gives rows of results until there are no more."""

    def __init__(self, spec: ReaderSpec, readers: Readers) -> None:
        self._spec = spec
        self._readers = readers
        self._tables: list[Any] = []
        self._rows: Iterator[list[bytes]] | None = None

    def add(self, tables: Sequence[Any]) -> None:
        """More to read; before the first ``following``."""
        self._tables.extend(tables)

    def following(self) -> list[bytes] | None:
        """The rows that are ready next, at least one; None at the end."""
        if self._rows is None:
            self._rows = self._stream()
        return next(self._rows, None)

    def _stream(self) -> Iterator[list[bytes]]:
        import ray.data

        _quieten(self._readers.count)
        dataset = ray.data.from_arrow(self._tables)
        self._tables.clear()
        results = dataset.map_batches(
            Reader,
            fn_constructor_args=(self._spec,),
            batch_size=None,
            batch_format="pyarrow",
            compute=self._pool(),
            num_cpus=self._readers.cpus,
            num_gpus=self._readers.gpus,
            max_restarts=-1,
            max_task_retries=_RETRIES,
            **({"memory": self._readers.memory} if self._readers.memory else {}),
        )
        for table in results.iter_batches(
            batch_size=None, batch_format="pyarrow", prefetch_batches=1
        ):
            yield table[COLUMN].to_pylist()

    def _pool(self) -> Any:
        from ray.data import ActorPoolStrategy

        count = self._readers.count
        if not self._readers.shared:
            return ActorPoolStrategy(size=count)
        return ActorPoolStrategy(min_size=1, initial_size=count, max_size=count)


def _quieten(readers: int) -> None:
    """Ray Data says nothing on a terminal, and forgives machines that fail while they start."""
    from ray.data import DataContext

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_options.preserve_order = False
    context.max_consecutive_actor_init_deaths = max(_RETRIES, readers)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
