"""Options from the environment and from settings files, and what a stranger's file may not set."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click
import pytest

from facesearch.cli import settings
from facesearch.cli.main import COMMANDS, facesearch
from facesearch.cli.settable import SettableCommand, SettableOption, spelled

KNOWN_VARIABLES = {"FACESEARCH_HOME", "FACESEARCH_LFW", "FACESEARCH_STORE", "FACESEARCH_FULL"}


def commands() -> list[SettableCommand]:
    """Every command that runs, those of groups too."""
    found = []

    def visit(command: click.Command) -> None:
        if isinstance(command, click.Group):
            for child in command.commands.values():
                visit(child)
        else:
            assert isinstance(command, SettableCommand)
            found.append(command)

    for name in COMMANDS:
        visit(facesearch.get_command(click.Context(facesearch), name))
    return found


def options(command: click.Command) -> list[SettableOption]:
    return [each for each in command.params if isinstance(each, SettableOption)]


@pytest.fixture
def settled(folder, tmp_path, monkeypatch):
    """Writes ``facesearch.toml`` here, or as the user's own."""
    own = tmp_path / "config" / "facesearch" / settings.NAME
    own.parent.mkdir(parents=True)
    monkeypatch.delenv("FACESEARCH_NO_SETTINGS")
    monkeypatch.setattr(settings, "own_file", lambda: own)

    def write(text: str, ours: bool = False) -> Path:
        path = own if ours else folder / settings.NAME
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refusal(done) -> str:
    assert done.code == 2, done.err
    (line,) = done.err.splitlines()
    assert done.raw == b""
    return line.removeprefix("facesearch: ")


def test_every_option_has_a_variable_of_its_own():
    found = [each.envvar for command in commands() for each in options(command)]
    found += [each.envvar for each in options(facesearch)]
    assert all(isinstance(name, str) and name.startswith("FACESEARCH_") for name in found)
    assert len(found) == len(set(found))
    assert not KNOWN_VARIABLES & set(found)
    assert not [name for name in found if name.startswith("FACESEARCH_MILVUS")]
    assert {"FACESEARCH_QUERY_K", "FACESEARCH_QUERY_JSON", "FACESEARCH_MODELS_PULL_FROM"} <= {
        *found
    }
    assert "FACESEARCH_PASSPHRASE_FILE" in found


def test_variables_count_and_the_command_line_counts_more(program, store, red, monkeypatch):
    monkeypatch.setenv("FACESEARCH_QUERY_K", "2")
    monkeypatch.setenv("FACESEARCH_QUERY_JSON", "yes")
    assert len(program("query", "me.png").json["results"][0]["neighbors"]) == 2
    assert len(program("query", "me.png", "-k", "3").json["results"][0]["neighbors"]) == 3
    done = program("query", "me.png", "--format", "paths")  # excludes --json
    assert done.lines == [line for line in done.lines if line.endswith(".png")] != []
    monkeypatch.setenv("FACESEARCH_QUERY_K", "")
    assert len(program("query", "me.png").json["results"][0]["neighbors"]) > 3


def test_a_variable_of_many_values_has_one_a_line(program, store, red, monkeypatch):
    monkeypatch.setenv("FACESEARCH_QUERY_PERSON", "red\ngreen\n")
    monkeypatch.setenv("FACESEARCH_QUERY_FORMAT", "paths")
    done = program("query", "me.png")
    assert {Path(line).parent.name for line in done.lines} == {"red", "green"}
    monkeypatch.setenv("FACESEARCH_QUERY_PERSON", "no body")
    assert "no body" in program("query", "me.png").err


@pytest.mark.parametrize(
    ("variable", "value", "command"),
    [
        ("FACESEARCH_QUERY_K", "many", ["query", "me.png"]),
        ("FACESEARCH_QUERY_JSON", "maybe", ["query", "me.png"]),
        ("FACESEARCH_INDEX_JOBS", "0", ["index", "photos"]),
        ("FACESEARCH_INFO_STORE", "nothing+http://x/y", ["info"]),
        ("FACESEARCH_EXPORT_CSV", "maybe", ["export"]),
        ("FACESEARCH_NO_SETTINGS", "perhaps", ["info"]),
    ],
)
def test_an_error_names_the_variable(program, store, monkeypatch, variable, value, command):
    monkeypatch.setenv(variable, value)
    assert refusal(program(*command)).startswith(f"{variable}: ")


def test_a_switch_among_several_comes_from_the_environment(program, store, monkeypatch):
    monkeypatch.setenv("FACESEARCH_EXPORT_NDJSON", "1")
    assert program("export").lines[0].startswith("{")
    assert program("export", "--csv").lines[0].startswith('"id",')
    monkeypatch.setenv("FACESEARCH_EXPORT_NDJSON", "0")
    assert program("export", "--csv").lines[0].startswith('"id",')


def test_debug_comes_from_the_environment(program, folder, monkeypatch):
    monkeypatch.setenv("FACESEARCH_DEBUG", "1")
    assert "Traceback" in program("info").err
    monkeypatch.setenv("FACESEARCH_DEBUG", "0")
    assert "Traceback" not in program("info").err


def test_a_store_named_as_argument_needs_no_other(program, store, monkeypatch):
    monkeypatch.setenv("FACESEARCH_INFO_STORE", "nowhere.npz")
    assert program("info", store).code == 0
    assert program("info").code == 1
    assert program("info", "--store", store).code == 0


def test_the_order_of_places(program, store, red, settled, monkeypatch):
    def shown(*more) -> int:
        return len(program("query", "me.png", "--format", "paths", *more).lines)

    settled("[query]\nk = 1\n", ours=True)
    assert shown() == 1
    settled("[query]\nk = 2\n")
    assert shown() == 2
    monkeypatch.setenv("FACESEARCH_QUERY_K", "3")
    assert shown() == 3
    assert shown("-k", "4") == 4
    monkeypatch.delenv("FACESEARCH_QUERY_K")
    assert shown("--no-settings") > 4


def test_a_file_of_the_folder_is_told_and_ones_own_is_not(program, store, red, settled):
    settled("[query]\nk = 1\n", ours=True)
    assert "settings" not in program("query", "me.png").err
    path = settled("[query]\nk = 2\n")
    assert f"settings: {path}\n" in program("query", "me.png").err
    assert "settings" not in program("query", "me.png", "-k", "1").err
    assert "settings" not in program("info").err


def test_what_is_given_puts_aside_what_it_excludes(program, store, red, settled, calibrated):
    settled("[query]\nfmr = 0.5\n", ours=True)
    assert program("query", "me.png", "--max-distance", "1").code == 0
    settled("[query]\nmax-distance = 0.5\n")
    assert program("query", "me.png").code == 0
    settled("[query]\nmax-distance = 0.5\nfmr = 0.5\n")
    assert program("query", "me.png").code == 2


def test_common_settings_reach_the_commands_that_have_them(program, store, settled):
    settled("json = true\nwait = true\n", ours=True)
    assert program("info").json["path"] == str(store)
    assert program("roots").json["store"] == str(store)


def test_a_relative_store_is_seen_from_the_file(program, store, red, settled, folder, monkeypatch):
    (folder / "deep").mkdir()
    store.rename(folder / "deep" / "mine.npz")
    settled('store = "deep/mine.npz"\n')
    assert program("info").code == 0
    monkeypatch.setenv("FACESEARCH_STORE", "other.npz")
    assert "other.npz" in program("info").err
    monkeypatch.delenv("FACESEARCH_STORE")
    own = settled('store = "mine.npz"\n', ours=True)
    (folder / settings.NAME).unlink()
    assert str(own.parent / "mine.npz") in program("info").err
    settled('store = "milvus+file:a.db"\n', ours=True)
    (found,) = settings.settings_of("info", settings.files_in_force(), _nothing()).values()
    assert found.value == f"milvus+file:{own.parent / 'a.db'}"


def _nothing() -> settings.Known:
    return settings.Known((), lambda name: ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[query]\nyes = true", ["[query] yes", "no settings file may"]),
        ("[query]\ncopy-to = 'x'", ["[query] copy-to", "no settings file may"]),
        ("[index]\nprune = true", ["[index] prune", "no settings file may"]),
        ("[index]\ncluster = 'ray://x:1'", ["[index] cluster", "no settings file may"]),
        ("[serve]\nhost = '0.0.0.0'", ["[serve] host", "no settings file may"]),
        ("[serve]\nallow-write = true", ["[serve] allow-write", "no settings file may"]),
        ("[forget]\nyes = true", ["[forget]", "takes no settings"]),
        ("[push]\nprune = true", ["[push]", "takes no settings"]),
        ("passphrase-file = 'x'", ["passphrase-file", "no setting"]),
        ("keyring = true", ["keyring", "no setting"]),
        ("[querry]\nk = 5", ["[querry]", "the nearest is [query]"]),
        ("[query]\nmax-distanse = 5", ["[query] max-distanse", "the nearest is max-distance"]),
        ("[query]\nas_json = true", ["[query] as_json", "no such option"]),
        ("stoer = 'a.npz'", ["stoer", "the nearest is store"]),
        ("query = 5", ["query", "[query]"]),
        ("[query]\nk = 'a\\nb\\u001b[31m'", ["[query] k"]),
        ("[query]\nk = true", ["[query] k", "not true or false"]),
        ("[query]\nexpand = 'yes'", ["[query] expand", "true or false"]),
        ("[query]\nk = [1]", ["[query] k", "number or a text"]),
        ("[query]\nk = 1979-05-27", ["[query] k", "number or a text"]),
        ("[query.more]\nk = 1", ["[query] more", "no such option"]),
        ("store = 5", ["store", "quotes"]),
        ("store = 'a\\nb", ["is no TOML"]),
        ("a=" + "[" * 5000, ["--no-settings"]),
        ("#" + "x" * 70000, ["too large"]),
    ],
)
def test_what_no_file_may_say(program, settled, text, words):
    for ours in (False, True):
        path = settled(text, ours)
        line = refusal(program("query", "me.png"))
        assert line.startswith(f"{path}: ")
        assert all(word in line for word in words), line
        assert "\x1b" not in line
        path.unlink()


def test_a_wrong_file_can_be_left_out_and_help_needs_none(program, store, settled):
    settled("[query]\nyes = true")
    assert program("info").code == 2
    assert program("info", "--no-settings").code == 0
    assert program("info", "--help").code == 0


@pytest.mark.parametrize(
    "text",
    [
        "json = true",
        "offline = false",
        "[index]\nexclude = ['*']",
        "[index]\nmax-pixels = 1",
        "[index]\nsystem = 'all'",
        "[verify]\nfmr = 0.9",
        "[verify]\nmax-distance = 2",
        "[serve]\nport = 80",
        "store = '/tmp/else.npz'",
        "store = '~/else.npz'",
        "store = '../else.npz'",
        "store = 'away/else.npz'",
        "store = 'milvus+http://elsewhere/faces'",
        "store = 'milvus+file:gallery.db'",
        "[query]\nstore = 'milvus+https://elsewhere/faces'",
    ],
)
def test_what_a_file_of_the_folder_may_not_say(program, settled, folder, text):
    (folder / "away").symlink_to(folder.parent)
    path = settled(text)
    line = refusal(program("query", "me.png"))
    assert line.startswith(f"{path}: ")
    path.unlink()
    settled(text, ours=True)
    assert settings.settings_of("query", settings.files_in_force(), _all()) is not None


def _all() -> settings.Known:
    return settings.Known(COMMANDS, lambda name: ())


@pytest.mark.parametrize("jobs", ["100000", "'100000'", "' 100_000 '", "'१०००००'"])
def test_a_folder_s_file_starts_no_more_workers_than_there_are_cores(settled, jobs):
    settled(f"[index]\njobs = {jobs}\n")
    found = settings.settings_of("index", settings.files_in_force(), _all())
    assert int(found["jobs"].value) <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.timeout(20)
def test_a_pipe_and_a_folder_are_no_settings(program, store, settled, folder):
    os.mkfifo(folder / settings.NAME)
    assert "is no file" in refusal(program("info"))
    (folder / settings.NAME).unlink()
    (folder / settings.NAME).mkdir()
    assert "is no file" in refusal(program("info"))


def test_one_file_is_read_once_where_it_is_both(program, settled, monkeypatch):
    own = settled("[query]\njson = true\n", ours=True)
    monkeypatch.chdir(own.parent)
    (file,) = settings.files_in_force()
    assert file.own


def test_what_may_be_set_exists():
    by_name = {command.path[0]: command for command in commands() if len(command.path) == 1}
    assert set(settings.ANYWHERE) == set(settings.OWN)
    for name in settings.ANYWHERE:
        listed = settings.ANYWHERE[name] + settings.OWN[name]
        assert set(listed) <= {spelled(each) for each in options(by_name[name])}
        assert len(listed) == len(set(listed))
    everywhere = [spelled(each) for command in commands() for each in options(command)]
    for name in settings.COMMON + settings.COMMON_OWN:
        assert everywhere.count(name) > 1
    for name, others in settings.RIVALS.items():
        assert {name, *others} <= {*everywhere, "keyring", "passphrase-file"}


NEVER = {
    "yes", "prune", "rebuild", "redetect", "forget", "forget-excludes", "remove", "off", "change",
    "no-memory", "allow", "encrypt", "passphrase-file", "keyring", "cluster", "host", "key-file",
    "allow-index", "allow-write", "open", "log", "contact-sheet", "html", "copy-to", "link-to",
    "draw", "crops", "report", "redraw", "output", "to", "from", "sha256", "debug", "no-settings",
}  # fmt: skip


def test_nothing_dangerous_may_be_set():
    for table in (*settings.ANYWHERE.values(), *settings.OWN.values()):
        assert not NEVER & set(table)
    assert not NEVER & {*settings.COMMON, *settings.COMMON_OWN}


def test_doctor_names_the_files_in_force(program, settled):
    own = settled("[query]\nk = 5\n", ours=True)
    here = settled("[query]\nk = 6\n")

    def found(*more):
        every = program("doctor", "--json", *more).json["findings"]
        return [each["text"] for each in every if each["about"] == "settings"]

    assert found() == [f"{here} (of this folder)", f"{own} (yours)"]
    assert found("--no-settings") == ["none: --no-settings"]
    own.unlink()
    here.unlink()
    assert str(own) in found()[0]


def test_the_documentation_lists_what_may_be_set():
    text = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+) \| (.*) \| (.*) \|$", text, re.MULTILINE)
    listed = {name: [re.findall(r"`([a-z-]+)`", each) for each in sets] for name, *sets in rows}
    assert listed.pop("above all tables") == [[*settings.COMMON], [*settings.COMMON_OWN]]
    for name in settings.ANYWHERE:
        both, own = listed[f"`[{name}]`"]
        assert (both, own) == ([*settings.ANYWHERE[name]], [*settings.OWN[name]]), name
