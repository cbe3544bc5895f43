"""The documentation says what is true: commands run, options exist, links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlparse

import click
import pytest
from documents import OUTSIDE, ROOT, blocks, documents, links

DOCUMENTS = documents()
PROGRAMS = Path(sys.executable).parent
NOT_RUN = re.compile(r"^(\./)?(scripts/|\.ci/|\.venv/|python3? -m (venv|pip)\b|git )")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")
HOSTS = {
    "127.0.0.1",
    "arxiv.org",
    "doi.org",
    "github.com",
    "keepachangelog.com",
    "semver.org",
    "vis-www.cs.umass.edu",
}
"""Where a document may point outside; package registries are not among them."""


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def cli_commands() -> dict[str, click.Command]:
    """Every command by its full name, groups included: "facesearch models pull"."""
    from facesearch.cli.main import facesearch

    found: dict[str, click.Command] = {}

    def visit(name: str, command: click.Command) -> None:
        found[name] = command
        if isinstance(command, click.Group):
            context = click.Context(command)
            for child in command.list_commands(context):
                visit(f"{name} {child}", command.get_command(context, child))

    visit("facesearch", facesearch)
    return found


def benchmark_options(name: str) -> list[str]:
    file = (ROOT / "benchmarks" / name).with_suffix(".py")
    source = file.read_text(encoding="utf-8") if file.exists() else ""  # a folder has none
    return re.findall(r'(?:add_argument|click\.option)\(\s*"(--[a-z-]+)"', source)


def options_of(command: click.Command) -> set[str]:
    """The long options, or the short one where there is none; ``--help`` goes without saying."""
    found = set()
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            spelled = [*parameter.opts, *parameter.secondary_opts]
            found |= {name for name in spelled if name.startswith("--")} or set(spelled)
    return found - {"--help"}


def script_help(script: str) -> str:
    """What a script of the project says to ``--help``."""
    done = subprocess.run(
        [ROOT / script, "--help"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=30,
        check=True,
    )
    return done.stdout


@pytest.mark.weights
@pytest.mark.timeout(900)
@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_documented_commands_run_as_written(document, shell, reader_folder):
    for block in blocks(document.read_text(encoding="utf-8")):
        if block.language == "python":
            (reader_folder / "documented.py").write_text(block.body, encoding="utf-8")
            commands = ["python documented.py"]
        else:
            commands = [line for line in block.commands if not NOT_RUN.match(line)]
        for command in commands:
            done = shell(command)
            expected = block.exit_code if command == commands[-1] else 0
            assert done.returncode == expected, f"{command}\n{done.stdout}\n{done.stderr}"
            assert "Traceback" not in done.stderr, f"{command}\n{done.stderr}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_commands_that_are_not_run_can_be(document):
    for block in blocks(document.read_text(encoding="utf-8")):
        for command in filter(NOT_RUN.match, block.commands):
            program, *arguments = command.removeprefix("./").split()
            if program.startswith(("scripts/", ".ci/")):
                assert os.access(ROOT / program, os.X_OK), command
                flags = FLAG.findall(command.partition(" -- ")[0])
                assert all(flag in script_help(program) for flag in flags), command
            elif program.startswith(".venv/bin/") and arguments[:2] != ["-m", "pip"]:
                assert (PROGRAMS / Path(program).name).exists(), command
            for name in re.findall(r"-[cr] (\S+)", command):
                assert (ROOT / name).is_file(), command


def test_every_command_and_option_is_in_the_reference():
    reference = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    sections = dict(
        re.findall(r"^##+ (facesearch .+)\n((?:(?!^##).*\n)*)", reference, re.MULTILINE)
    )
    commands = cli_commands()
    assert set(sections) == set(commands) - {"facesearch"}
    for name, body in sections.items():
        described = re.findall(r"^\| `(-{1,2}[a-z][a-z0-9-]*)", body, re.MULTILINE)
        assert set(described) == options_of(commands[name]), name
        assert len(described) == len(set(described)), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_mentioned_options_exist(document):
    commands = cli_commands()
    known = {"--help", "--version"}.union(*(options_of(command) for command in commands.values()))
    text = document.read_text(encoding="utf-8")
    code = "\n".join([*re.findall(r"`([^`\n]+)`", text), *(block.body for block in blocks(text))])
    others = r"^((\S*python\S* -m )?pip|ray|helm|kubectl) .*"
    code = re.sub(others, "", code, flags=re.MULTILINE)
    helped = {"scripts/bundle", "scripts/demo", "scripts/docs", "scripts/sbom", "scripts/test"}
    scripts = set(re.findall(r"(?:scripts/|\.ci/)[a-z-]+", code)) & helped
    known = known.union(*(FLAG.findall(script_help(script)) for script in scripts))
    benchmarks = set(re.findall(r"benchmarks[./](\w+)", code))
    if re.search(r"-m benchmarks(?!\.)", code):
        benchmarks.add("__main__")
    known = known.union(*(benchmark_options(name) for name in sorted(benchmarks)))
    assert set(FLAG.findall(code)) <= known
    for line in code.splitlines():
        mention = re.match(r"(?:\$ )?(facesearch(?: [a-z]+)*)", line.strip())
        if mention is None:
            continue
        words = mention[1].split()
        while " ".join(words) not in commands:
            words.pop()
        own = options_of(commands[" ".join(words)]) | options_of(commands["facesearch"])
        assert set(FLAG.findall(line)) <= own | {"--help", "--version"}, line


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document):
    for target in links(document.read_text(encoding="utf-8")):
        if not target.startswith(OUTSIDE):
            file, _, _ = target.partition("#")
            assert not file or (document.parent / file).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_installation_never_by_bare_name_nor_from_an_address(document):
    text = document.read_text(encoding="utf-8")
    assert not re.search(r"pip3? install[^\n`]*\bfacesearch(?![/-])\b", text)
    # Behind a "+" it is the address of a gallery.
    for address in re.findall(r"(?<!\+)https?://[^\s)>\"'`]+", text):
        assert urlparse(address).hostname in HOSTS, address


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_no_path_of_one_machine(document):
    text = document.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.~/>-])/(home|root|work|Users|tmp|mnt|private)/", text)


def test_readme_names_the_two_commands_first():
    head = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:15]
    assert any("`scripts/demo`" in line for line in head)
    assert any("`scripts/test`" in line for line in head)
