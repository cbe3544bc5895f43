"""Folders held against a store: scopes, shares, and what a plan says without any run."""

from __future__ import annotations

from pathlib import Path

import pytest

from facesearch.errors import UsageError
from facesearch.planning import GONE_SHARE, Plan, PlanOptions, make_plan, settle_gone
from facesearch.records import RootAway
from facesearch.scoping import Scope, choose_scopes, needed_roots
from photo_library import Library


def test_a_scope_covers_what_lies_below_it() -> None:
    part = Scope(0, Path("/p"), "a/b")
    assert [part.covers(key) for key in ("a/b", "a/b/c.jpg", "a/bc", "a", "b")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert Scope(0, Path("/p")).covers("anything")
    assert (part.path("a/b"), Scope(0, Path("/p.jpg")).path("")) == ("/p/a/b", "/p.jpg")


def test_named_paths_become_parts_of_known_roots(library: Library) -> None:
    library.add_many(2, "a/b/")
    library.index()
    folder = library.photos
    for named, under in (
        ("a", "a"),
        ("a/b/../b", "a/b"),
        ("a/b/001.jpg", "a/b/001.jpg"),
        (".", ""),
    ):
        roots, scopes = choose_scopes(library.store, [folder / named], library.home)
        assert scopes == [Scope(0, folder, under)]
        assert [root.path for root in roots] == [str(folder)]
        assert roots[0].id == library.store.roots[0].id


def test_what_lies_in_another_named_path_is_looked_at_once(library: Library) -> None:
    library.add_many(2, "a/b/")
    folder = library.photos
    named = [folder / "a/b/001.jpg", folder / "a", folder / "a", folder / "a/b"]
    assert choose_scopes(None, named, library.home)[1] == [Scope(0, folder / "a")]
    assert choose_scopes(None, named, library.home)[0][0].relative == "photos/a"


def test_names_that_only_begin_alike_are_two_roots(library: Library) -> None:
    library.add("a/1.jpg")
    library.add("ab/1.jpg")
    _, scopes = choose_scopes(None, [library.photos / "a", library.photos / "ab"], library.home)
    assert [scope.root for scope in scopes] == [0, 1]


def test_nothing_named_and_nothing_known(library: Library) -> None:
    with pytest.raises(UsageError, match="name one: facesearch index FOLDER") as caught:
        choose_scopes(None, [], library.home)
    assert caught.value.exit_code == 2


def test_roots_that_are_needed(library: Library) -> None:
    library.add_many(3, "a/")
    library.index(library.photos / "a")
    assert needed_roots(library.store, ()) == list(library.store.roots)
    empty = library.home / "empty"
    empty.mkdir()
    library.index(empty)
    assert [Path(root.path).name for root in needed_roots(library.store, ())] == ["a", "empty"]
    empty.rmdir()
    assert [Path(root.path).name for root in needed_roots(library.store, ())] == ["a"]


def plan_of(library: Library, **options: object) -> Plan:
    roots, scopes = choose_scopes(library.store, [library.photos], library.home)
    return make_plan(library.store, scopes, roots, PlanOptions(**options))  # type: ignore[arg-type]


def test_a_plan_reads_only_what_is_new_or_changed(library: Library) -> None:
    library.add_many(5)
    library.index()
    library.add("new.jpg", "as long as 004 xxxx")
    library.add("001.jpg", "001.jpg Y")  # the size that it had
    plan = plan_of(library)
    assert plan.unchanged == 4
    assert [(work.entry.key, work.kind) for work in plan.read] == [
        ("001.jpg", "changed"),
        ("new.jpg", "new"),
    ]
    assert plan.read[0].content == library.store.files.content[1]
    assert plan.read[0].perhaps_held
    assert plan.seen == 6


def test_a_file_of_a_new_size_is_none_that_is_held(library: Library) -> None:
    library.add("a.bmp", "some size")
    library.index()
    library.add("b.bmp", "same size")
    library.add("c.bmp", "quite another size")
    held = {work.entry.key: work.perhaps_held for work in plan_of(library).read}
    assert held == {"b.bmp": True, "c.bmp": False}


def test_a_plan_says_what_it_looked_at(library: Library) -> None:
    library.add_many(12, "a/")
    library.add_many(3, "ab/")
    library.index()
    (library.photos / "a/003.jpg").unlink()
    roots, scopes = choose_scopes(library.store, [library.photos / "a"], library.home)
    plan = make_plan(library.store, scopes, roots, PlanOptions())
    assert plan.looked_at(str(library.photos / "a/002.jpg"))
    assert not plan.looked_at(str(library.photos / "a/003.jpg"))
    assert not plan.looked_at(str(library.photos / "ab/001.jpg"))


@pytest.mark.parametrize("there", [0, 9, 10, 63, 90, 99, 189, 1000])
def test_the_share_that_may_go(tmp_path: Path, there: int) -> None:
    """Exactly a tenth of all that is there or was is removed, one more is not."""
    (tmp_path / "photo.jpg").touch()
    scope = Scope(0, tmp_path)
    for gone in range(1, 130):
        plan = Plan()
        plan.there[scope] = there
        plan.gone[scope] = {(0, str(number)): number for number in range(gone)}
        remove, kept = settle_gone(plan, (), prune=False)
        fits = gone * 10 <= there + gone
        assert (len(remove), kept) == ((gone, 0) if fits else (0, gone))
        assert len(settle_gone(plan, (), prune=True)[0]) == gone
    assert GONE_SHARE == 0.1


def test_what_was_found_again_is_not_gone(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    plan = Plan()
    scope = Scope(0, tmp_path)
    plan.there[scope] = 10
    plan.gone[scope] = {(0, str(number)): number for number in range(10)}
    plan.dropped = [(0, "x"), (0, "3")]
    again = {(0, str(number)) for number in range(9)}
    assert settle_gone(plan, again, prune=False) == ([(0, "x"), (0, "9")], 0)


def test_a_root_that_went_away_meanwhile_loses_nothing(tmp_path: Path) -> None:
    plan = Plan()
    scope = Scope(0, tmp_path / "unplugged")
    plan.there[scope], plan.held[scope] = 10, 12
    plan.gone[scope] = {(0, "x"): 0}
    assert settle_gone(plan, (), prune=True) == ([], 0)
    assert plan.away == [RootAway(str(scope.folder), "missing since this run began", 12)]
