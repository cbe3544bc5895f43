"""Rows that several processes count together."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest
from counting import Piece, Rows

COUNT = 6


def keep(rows: Rows, what: str, piece: Piece, outcomes: dict[str, int] | None = None) -> None:
    rows.keep(what, outcomes or {"read": piece.number + 1, "refused": 1}, "the command", piece)


def _keep_many(rows: Rows, number: int) -> None:
    for what in ("a", "b", "c"):
        keep(rows, what, Piece(number, COUNT))
        keep(rows, f"{what} {number}", Piece())


def run_of(folder: Path, name: str) -> Rows:
    (folder / name).mkdir()
    return Rows(folder / "rows.json", folder / name)


def kept(rows: Rows) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads(rows.kept.read_text("utf-8"))
    return found


def test_processes_add_up_and_lose_nothing(tmp_path: Path) -> None:
    rows = run_of(tmp_path, "run")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_keep_many, args=(rows, n)) for n in range(COUNT)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    found = kept(rows)
    assert set(found) == {"a", "b", "c"} | {f"{what} {n}" for what in "abc" for n in range(COUNT)}
    whole = {"tried": 27, "outcomes": {"read": 21, "refused": 6}, "command": "the command"}
    assert [found[what] for what in "abc"] == [whole] * 3


def test_a_row_stands_as_it_was_until_all_of_it_was_tried(tmp_path: Path) -> None:
    first = run_of(tmp_path, "first")
    for number in range(2):
        keep(first, "a", Piece(number, 2))
    before = kept(first)
    second = run_of(tmp_path, "second")
    for _ in range(3):
        keep(second, "a", Piece(0, 2), {"read": 50})
        assert kept(second) == before
    keep(second, "a", Piece(1, 2), {"read": 7})
    assert kept(second)["a"]["outcomes"] == {"read": 57}
    keep(second, "a", Piece(1, 2), {"read": 8})
    assert kept(second)["a"]["outcomes"] == {"read": 58}


@pytest.mark.parametrize("tries", [7, 100, 50_000])
def test_pieces_are_all_and_none_twice(tries: int) -> None:
    parts = [Piece(number, 9).of(tries) for number in range(9)]
    assert [one for part in parts for one in part] == list(range(tries))
