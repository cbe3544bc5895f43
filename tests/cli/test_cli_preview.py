"""Faces in the table, at terminals that answer as those with pictures do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading

import pytest

if sys.platform == "win32":
    pytest.skip("no pseudo-terminals here", allow_module_level=True)

import fcntl
import pty
import struct
import termios
import tty

SIXEL = re.compile(r"\x1bP[0-9;]*q.*?\x1b\\", re.DOTALL)
KITTY = re.compile(r"\x1b_Gi=\d+,m=[01],f=100,q=2;[A-Za-z0-9+/=]+\x1b\\")
PLACEHOLDER = "\U0010eeee"


class Terminal:
    """Runs a command and answers what programs ask a terminal; ``out`` is all that was written."""

    def __init__(self, sixel=False, kitty=False):
        self._sixel, self._kitty = sixel, kitty
        self.out = b""

    def run(self, command, timeout=60):
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 1200, 800))
        process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE)
        os.close(theirs)
        reader = threading.Thread(target=self._read, args=(ours,))
        reader.start()
        _, err = process.communicate(timeout=timeout)
        reader.join(timeout)
        os.close(ours)
        self.text = self.out.decode()
        return process.returncode, err.decode()

    def _read(self, ours):
        answered = 0
        while True:
            try:
                piece = os.read(ours, 1 << 16)
            except OSError:  # the program is gone
                return
            if not piece:
                return
            self.out += piece
            for asked in re.finditer(rb"\x1b\[c|\x1b_Gi=(\d+)[^\x1b]*a=q[^\x1b]*\x1b\\", self.out):
                if asked.start() >= answered:
                    answered = asked.end()
                    self._answer(ours, asked)

    def _answer(self, ours, asked):
        if asked[1] is None:
            os.write(ours, b"\x1b[?62;4;22c" if self._sixel else b"\x1b[?62;22c")
        elif self._kitty:
            os.write(ours, b"\x1b_Gi=" + asked[1] + b";OK\x1b\\")


@pytest.fixture
def library():
    pytest.importorskip("textual_image")


def test_sixels(library, child, store, red):
    terminal = Terminal(sixel=True)
    code, _ = terminal.run(child("query", red, "-k", 3, "--preview"))
    assert code == 0
    assert len(SIXEL.findall(terminal.text)) == 3
    plain = SIXEL.sub("", terminal.text)
    for name in ("red1.png", "red2.png", "both.png"):
        assert name in plain
    assert "1  similarity 1.000  distance 0.000" in plain
    assert "10 faces in 9 photos" in plain


def test_kitty(library, child, store, red):
    terminal = Terminal(kitty=True)
    code, _ = terminal.run(child("query", red, "-k", 2, "--preview"))
    assert code == 0
    assert len(KITTY.findall(terminal.text)) == 2
    assert terminal.text.count(PLACEHOLDER) == 2 * 10 * 5
    assert "both.png" in terminal.text


def test_a_terminal_without_pictures_gets_the_table(library, child, store, red):
    terminal = Terminal()
    code, err = terminal.run(child("query", red, "-k", 2, "--preview"))
    assert code == 0
    assert "no preview: this terminal shows no pictures; --html FILE makes a page" in err
    assert "rank  similarity" in terminal.text
    assert not SIXEL.search(terminal.text)


def test_a_name_cannot_steer_the_terminal(library, child, photos, folder, red):
    from small_store import enroll

    (photos / "red" / "red1.png").rename(photos / "red" / "\x1b[2J[bold]red.png")
    enroll(folder / "faces.npz", [photos])
    terminal = Terminal(kitty=True)
    terminal.run(child("query", red, "-k", 1, "--preview"))
    assert "\x1b[2J" not in terminal.text
    assert "\\x1b[2J[bold]red.png" in terminal.text


def test_a_photo_that_is_gone(library, child, store, photos, red):
    (photos / "red" / "red1.png").unlink()
    terminal = Terminal(sixel=True)
    code, _ = terminal.run(child("query", red, "-k", 2, "--preview"))
    assert code == 0
    assert "(no photo)" in terminal.text
    assert len(SIXEL.findall(terminal.text)) == 1


def test_output_that_goes_elsewhere_is_plain(program, store, red):
    done = program("query", red, "-k", 1, "--preview")
    assert done.code == 0
    assert "no preview: this is no terminal" in done.err
    assert done.raw == program("query", red, "-k", 1).raw


def test_another_format_has_no_place_for_pictures(program, store, red):
    done = program("query", red, "--preview", "--format", "csv")
    assert done.code == 2
    assert "--preview shows faces in the table; leave out --format csv" in done.err


def test_without_the_library(monkeypatch):
    from facesearch.errors import UsageError
    from facesearch.report.preview import picture_class

    monkeypatch.setitem(sys.modules, "textual_image", None)
    with pytest.raises(UsageError, match="pip install textual-image"):
        picture_class()
