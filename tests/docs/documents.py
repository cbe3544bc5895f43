"""The project's documents taken apart: code blocks, commands, links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```\s*$", re.MULTILINE | re.DOTALL)
EXIT = re.compile(r"\bexit=(\d+)")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
OUTSIDE = ("http:", "https:", "mailto:")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. ``exit_code`` is what its last command must end with."""

    language: str
    body: str
    exit_code: int

    @property
    def commands(self) -> list[str]:
        """Shell commands as a person types them; a trailing backslash joins lines."""
        if self.language == "bash":
            lines = self.body.replace("\\\n", " ").splitlines()
        elif self.language == "console":
            joined = self.body.replace("\\\n", " ")
            lines = [line[2:] for line in joined.splitlines() if line.startswith("$ ")]
        else:
            return []
        return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def documents() -> list[Path]:
    """Every Markdown file of the project."""
    folders = ("docs", "data", "models", "benchmarks")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.md")]
    return sorted([*ROOT.glob("*.md"), *found])


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a document, in order."""
    found = []
    for match in FENCE.finditer(text):
        language, _, rest = match["info"].strip().partition(" ")
        code = EXIT.search(rest)
        found.append(Block(language, match["body"], int(code[1]) if code else 0))
    return found


def links(text: str) -> list[str]:
    """Targets of the links of a document, outside code blocks."""
    return LINK.findall(FENCE.sub("", text))
