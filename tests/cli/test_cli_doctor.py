"""``facesearch doctor``: a line for each thing, exit 1 when something needed is broken."""

from __future__ import annotations

import shlex

import pytest

from facesearch.weights import home


@pytest.fixture
def whole(monkeypatch):
    """Nothing is wrong with the packages, whatever is installed here."""
    monkeypatch.setattr("facesearch.diagnosis._wrong", lambda requirement: None)


def found(done, about: str) -> list[dict]:
    return [each for each in done.json["findings"] if each["about"] == about]


def test_a_machine_without_weights_and_store(program, folder, whole):
    done = program("doctor", "--json")
    assert done.code == 0
    assert done.json["healthy"] is True
    assert done.json["version"]
    assert list(done.json["findings"][0]) == ["about", "state", "text", "remedy"]
    (weights,) = found(done, "weights facenet-128")
    assert weights["state"] == "warning"
    assert weights["remedy"] == "facesearch models pull facenet-128"
    (store,) = found(done, "store")
    assert store["state"] == "ok"
    assert "none here" in store["text"]
    assert not home().exists()  # nothing is written


def test_lines_for_people(program, folder, whole):
    done = program("doctor")
    assert done.code == 0
    assert done.err == ""
    states = {line.split()[0] for line in done.lines[:-1]}
    assert states <= {"ok", "warning", "problem", "->"}
    assert any("-> facesearch models pull facenet-128" in line for line in done.lines)
    assert done.lines[-1].startswith("0 problems, ")


def test_a_store_is_looked_at(program, store, whole):
    store.chmod(0o600)
    done = program("doctor", "--json")
    (told,) = found(done, "store")
    assert told["state"] == "ok"
    assert "recipe facenet, 10 faces in 9 photos, 0 failed" in told["text"]
    assert not found(done, "rights")


def test_a_store_that_others_can_read_is_a_warning(program, store, whole):
    store.chmod(0o644)
    done = program("doctor", "--json")
    assert done.code == 0
    (told,) = found(done, "rights")
    assert told["state"] == "warning"
    assert told["remedy"] == f"chmod go-rwx {store}"


def test_a_damaged_store_is_a_problem(program, store, whole):
    store.write_bytes(store.read_bytes()[:100])
    done = program("doctor", "--json")
    assert done.code == 1
    assert done.json["healthy"] is False
    (told,) = found(done, "store")
    assert told["state"] == "problem"
    assert str(store) in told["text"]
    assert done.err == ""
    assert told["remedy"] == f"facesearch repair --store {store}"


def test_the_remedy_for_damage_is_a_command_that_works(program, store, whole, monkeypatch):
    store.write_bytes(store.read_bytes()[:-100])
    moved = store.rename(store.with_name("of the family.npz"))
    (told,) = found(program("doctor", "--store", moved, "--json"), "store")
    words = shlex.split(told["remedy"])
    assert words[0] == "facesearch"
    assert program(*words[1:]).code == 0
    assert found(program("doctor", "--store", moved, "--json"), "store")[0]["state"] == "ok"


@pytest.mark.parametrize("raw", [b"", b"no store at all"])
def test_where_no_repair_helps_none_is_advised(program, store, whole, raw):
    store.write_bytes(raw)
    (told,) = found(program("doctor", "--json"), "store")
    assert (told["state"], told["remedy"]) == ("problem", None)


def test_a_store_that_was_named_must_be_there(program, folder, whole):
    done = program("doctor", "--store", "gone.npz")
    assert done.code == 1
    assert "gone.npz" in done.out


def test_a_root_that_is_away(program, store, photos, whole):
    photos.rename(photos.with_name("elsewhere"))
    done = program("doctor", "--json")
    away = found(done, "store")[1]
    assert away["state"] == "warning"
    assert "away, with 10 photos" in away["text"]
    connect, command = away["remedy"].split(", or ")
    assert connect == "connect it"
    words = shlex.split(command.replace("NEW", str(photos.with_name("elsewhere"))))
    assert program(*words[1:]).code == 0
    assert len(found(program("doctor", "--json"), "store")) == 1


def test_weights_that_are_damaged(program, folder, whole):
    models = home() / "models"
    models.mkdir(parents=True, mode=0o700)
    (models / "facenet-128.h5").write_bytes(b"short")
    done = program("doctor", "--json")
    assert done.code == 1
    (told,) = found(done, "weights facenet-128")
    assert (told["state"], told["remedy"]) == ("problem", "facesearch models pull facenet-128")


def test_help_has_examples(program):
    assert "facesearch doctor --store family.npz --json\n" in program("doctor", "--help").out
