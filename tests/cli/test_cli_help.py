"""The help: every command by its task, with examples that can be meant and exit codes."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from facesearch.cli import manual
from facesearch.cli.main import COMMANDS, facesearch


def names() -> list[str]:
    """Every command's full name, those of groups and the groups too."""
    found = []

    def visit(name: str, command: click.Command) -> None:
        found.append(name)
        if isinstance(command, click.Group):
            for child in command.commands:
                visit(f"{name} {child}", command.commands[child])

    for name in COMMANDS:
        visit(name, facesearch.get_command(click.Context(facesearch), name))
    return found


NAMES = names()


def examples(program, name: str) -> list[str]:
    """The example lines of a command's help."""
    done = program(*name.split(), "--help")
    assert done.code == 0
    block = re.search(r"^  Examples:\n((?:    .+\n)+)", done.out, re.MULTILINE)
    assert block, name
    return [line.strip() for line in block[1].splitlines()]


def test_every_command_stands_below_one_task(program):
    listed = [name for lines in manual.SECTIONS.values() for name in lines]
    assert sorted(listed) == sorted(COMMANDS)
    out = program("--help").out
    for task, lines in manual.SECTIONS.items():
        section = out.partition(f"\n{task}:\n")[2].partition("\n\n")[0].splitlines()
        assert len(section) == len(lines), task  # each on a line of its own
        for name, line in zip(lines, section, strict=True):
            assert re.fullmatch(rf"  {name} +\S.*\.", line)
            assert len(line) <= 80


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_examples_that_it_takes(program, name):
    for line in examples(program, name):
        program_name, *arguments = shlex.split(re.split(r" \| | >", line)[0])
        assert program_name == "facesearch"
        assert line.startswith(f"facesearch {name}")
        with facesearch.make_context("facesearch", arguments) as context:
            asked = [*context._protected_args, *context.args]
            found, command, rest = facesearch.resolve_command(context, asked)
            while isinstance(command, click.Group):
                inner = command.make_context(found, rest, parent=context)
                found, command, rest = command.resolve_command(
                    inner, [*inner._protected_args, *inner.args]
                )
            command.make_context(found, rest, parent=context)


@pytest.mark.parametrize("name", NAMES)
def test_every_help_says_what_it_does_and_its_exit_codes(program, name):
    out = program(*name.split(), "--help").out
    usage, says, *_ = out.split("\n\n")
    assert usage.startswith(f"Usage: facesearch {name}")
    assert says.strip().endswith((".", ":")), says
    codes = " ".join(out.partition("Exit codes: ")[2].split("\n\n")[0].split())
    assert {"0", "1", "2", "130"} <= set(re.findall(r"\b\d+\b", codes))
    assert "..." not in "".join(re.findall(r"^Commands:\n((?:  .*\n)+)", out, re.MULTILINE))
    assert max(map(len, out.splitlines())) <= 80


def test_nothing_is_described_that_does_not_exist():
    assert set(manual._EXAMPLES) == set(NAMES)
    assert set(manual._EXIT_CODES) <= set(NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if " " not in name])
def test_the_help_names_a_variable_that_counts(program, name):
    command = facesearch.get_command(click.Context(facesearch), name)
    variables = [each.envvar for each in command.params if isinstance(each, click.Option)]
    if variables:
        out = " ".join(program(name, "--help").out.split())
        (variable,) = re.findall(r"from the environment too, as (FACESEARCH_\w+)", out)
        assert variable in variables
