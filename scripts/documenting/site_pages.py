"""What MkDocs asks of us: pages from outside docs/, the page of all options, links between them.

Named by mkdocs.yml as its hook. A page that lies beside the code (PRIVACY.md, a model's card) is
shown from where it is, so that there is one copy of it.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

from command_pages import options_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = ("PRIVACY.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "*/README.md")
CARDS = "models/*.md"
HOME = "README.md"
"""The project's front page; on the site docs/index.md is in its place."""

ALONE = ("index.md", "start.md")
"""Pages that are a tab of their own: a list of one beside them says nothing."""

FENCED = re.compile(r"(^```.*?^```\s*$)", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\|.*$", re.MULTILINE)
CODE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"(?P<text>!?\[[^\]]*\])\((?P<target>[^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that do not lie in docs/."""
    for page in sorted({path for pattern in (*OUTSIDE, CARDS) for path in ROOT.glob(pattern)}):
        uri = page.relative_to(ROOT).as_posix()
        if not uri.startswith("docs/"):
            files.append(File.generated(config, uri, abs_src_path=str(page)))
    files.append(File.generated(config, "options.md", content=options_page()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Points links at pages of the site; what is no page keeps its words alone."""
    place = _place_of(page.file)
    if page.file.src_uri in ALONE:
        page.meta["hide"] = ["navigation"]

    def pointed(link: re.Match[str]) -> str:
        target, mark, anchor = link["target"].partition("#")
        if not target or ":" in target:
            return link[0]
        uri = _uri_of(normpath(str(PurePosixPath(place).parent / target)))
        if files.get_file_from_path(uri) is None:
            lies_there = (ROOT / place).parent / target
            return link["text"].strip("[]") if lies_there.exists() else link[0]
        source = PurePosixPath(page.file.src_uri).parent
        return f"{link['text']}({relpath(uri, source)}{mark}{anchor})"

    parts = FENCED.split(markdown)
    return "".join(
        part if part.startswith("```") else ROW.sub(_row, LINK.sub(pointed, part)) for part in parts
    )


def _row(row: re.Match[str]) -> str:
    """A row of a table whose code has its bars plain: Markdown's dialects differ in this."""
    return CODE.sub(lambda code: code[0].replace("\\|", "|"), row[0])


def _place_of(file: File) -> str:
    """Where a page's text lies in the checkout."""
    return file.src_uri if file.generated_by else f"docs/{file.src_uri}"


def _uri_of(place: str) -> str:
    """What the site calls a file of the checkout."""
    return "index.md" if place == HOME else place.removeprefix("docs/")
