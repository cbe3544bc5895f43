"""``facesearch label`` and the filters of ``query`` as a person types them."""

from __future__ import annotations

import json

import pytest


def test_label_then_query(program, store, red, tmp_path):
    labels = tmp_path / "who.csv"
    labels.write_text("red1.png,Rosa\nnowhere.png,Nobody\n")
    done = program("label", labels)
    assert done.code == 0
    assert done.out == "1 label for 1 photo\nno photo in the store: nowhere.png\n".replace(
        "1 label ", "2 labels "
    )
    asked = program("query", "me.png", "-k", "all", "--person", "Rosa", "--format", "paths")
    assert [line.rsplit("/", 1)[1] for line in asked.lines] == ["red1.png"]
    assert json.loads(program("label", "--forget", "--json").out)["labels"] == 0
    gone = program("query", "me.png", "--person", "Rosa")
    assert gone.code == 2
    assert "--person Rosa: the store has no photos of anybody" in gone.err


def test_label_needs_something_to_do(program, store):
    refused = program("label")
    assert refused.code == 2
    assert "--forget" in refused.err


@pytest.mark.timeout(20)
def test_what_has_no_end_is_no_file_of_labels(program, store):
    refused = program("label", "/dev/zero")
    assert refused.code == 1
    assert refused.err.splitlines()[-1] == (
        "facesearch: cannot read /dev/zero: not a regular file; give a CSV file in UTF-8"
    )


def test_bounds_on_time(program, store, red):
    none = program("query", "me.png", "--since", "1990")
    assert none.code == 2
    assert "--since 1990: the store has no photos taken then" in none.err
    wrong = program("query", "me.png", "--until", "yesterday")
    assert wrong.code == 2
    assert "'yesterday' is no time" in wrong.err
