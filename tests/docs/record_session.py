"""Records the session of the README, batchrun/docs/session.svg: a run is killed, and the same command goes on.

    python tests/docs/record_session.py      runs the commands on a terminal of 100 columns, and draws what they wrote

The commands are real, against the simulator, in a copy of the samples.
"""

import fcntl
import os
import pty
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PICTURE = REPOSITORY / "batchrun" / "docs" / "session.svg"
COLUMNS, LINE_HEIGHT, CHARACTER_WIDTH, MARGIN = 100, 18, 7.83, 14
HEAD, GAP = 28, 9
DOTS = ("#ff5f57", "#febc2e", "#28c840")
BLOCKS = re.compile("[▏▎▍▌▋▊▉█]+")
SUBMIT = "batchrun submit jobs/contracts.toml --simulate --speed 2"
RESULTS = "batchrun results contracts --simulate --limit 3 --columns doc_id,party_a,governing_law,term_months"
STYLE = """
  text { font: 13px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #e6edf3; white-space: pre }
  .typed { font-weight: 700; fill: #7ee787 } .note { fill: #f2cc60 } .soft { fill: #8b949e }
  .back { fill: #0d1117 } .head { fill: #161b22 } .bar { fill: #58a6ff }
"""


def on_a_terminal(command: str, folder: Path, *, kill: Callable[[str], bool] = lambda _: False) -> list[str]:
    """Run a command on a terminal, and return the lines that stand there at the end.

    The process is killed with SIGKILL as soon as `kill` says so of what was written.
    """
    reading, writing = pty.openpty()
    fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "TERM": "xterm", "PYTHONPATH": str(REPOSITORY)}
    environment = {name: value for name, value in environment.items() if not name.startswith("ANTHROPIC")}
    program = [sys.executable, "-c", "import sys; from batchrun.cli import main; sys.argv[0] = 'batchrun'; main()"]
    line = [*program, *shlex.split(command)[1:]]
    with subprocess.Popen(line, cwd=folder, env=environment, stdout=writing, stderr=writing) as running:
        os.close(writing)
        written = b""
        try:
            while part := os.read(reading, 65_536):
                written += part
                if kill(written.decode("utf-8", "replace")):
                    running.send_signal(signal.SIGKILL)
                    break
        except OSError:  # the terminal is closed
            pass
        os.close(reading)
    return screen(written.decode("utf-8", "replace"))


def screen(written: str) -> list[str]:
    """The lines that a terminal shows after a text: carriage returns, erased lines and moves upward count."""
    lines, row, column = [""], 0, 0
    for piece in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+|\x1b", written):
        if piece == "\r":
            column = 0
        elif piece == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif piece.endswith("K") and piece.startswith("\x1b"):
            lines[row] = lines[row][:column] if piece != "\x1b[2K" else ""
        elif piece.endswith("A") and piece.startswith("\x1b"):
            row = max(0, row - int(piece[2:-1] or 1))
        elif not piece.startswith("\x1b"):
            lines[row] = lines[row].ljust(column)[:column] + piece + lines[row][column + len(piece) :]
            column += len(piece)
    return [line.rstrip() for line in lines]


def session() -> list[tuple[str, str]]:
    """The lines of the session, each with its class."""
    said: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("jobs", "sample_data"):
            shutil.copytree(REPOSITORY / part, folder / part)
        (folder / "batchrun.toml").touch()

        def killing(written: str) -> bool:
            return (found := re.findall(r"(\d+)/\d+ ", written)) != [] and int(found[-1]) > 15

        said += [("typed", f"$ {SUBMIT}"), *lines_of(on_a_terminal(SUBMIT, folder, kill=killing))]
        said += [("note", "Killed: kill -9 from another terminal. The same command again:"), ("typed", f"$ {SUBMIT}")]
        time.sleep(0.5)
        said += lines_of(on_a_terminal(SUBMIT, folder))
        for command in (RESULTS, SUBMIT):
            said += [("typed", f"$ {command}"), *lines_of(on_a_terminal(command, folder))]
    return said


def lines_of(lines: list[str]) -> list[tuple[str, str]]:
    """Lines without those that are empty at the end."""
    while lines and not lines[-1]:
        lines.pop()
    return [("said", line[:COLUMNS]) for line in lines]


def drawn(said: list[tuple[str, str]]) -> str:
    """The picture of a terminal with these lines."""
    shapes, y = [], HEAD + LINE_HEIGHT
    for number, (kind, line) in enumerate(said):
        y += GAP if kind == "note" or (kind == "typed" and number and said[number - 1][0] != "note") else 0
        shapes += [*bars(line, y), text(kind, BLOCKS.sub(lambda bar: " " * len(bar[0]), line), y)] if line else []
        y += LINE_HEIGHT if line else LINE_HEIGHT / 2
    width = COLUMNS * CHARACTER_WIDTH + 2 * MARGIN
    dots = (f'<circle cx="{18 + 18 * at}" cy="{HEAD / 2:g}" r="5" fill="{colour}"/>' for at, colour in enumerate(DOTS))
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {y:g}" role="img" aria-labelledby="t">',
        '<title id="t">A run is killed when 16 of 23 documents are done; the same command sends the rest</title>',
        f"<style>{STYLE}</style>", f'<rect class="head" width="{width:g}" height="{2 * HEAD:g}" rx="8"/>',
        f'<rect class="back" y="{HEAD:g}" width="{width:g}" height="{y - HEAD:g}" rx="8"/>',
        *dots, *shapes, "</svg>", "",
    ])  # fmt: skip


def text(kind: str, line: str, y: float) -> str:
    """A line of the terminal."""
    soft = kind == "said" and re.match(r"  (?:thinking|cache|tokens|speed|latency|chain) ", line)
    return f'<text class="{"soft" if soft else kind}" x="{MARGIN}" y="{y:g}" xml:space="preserve">{escape(line)}</text>'


def bars(line: str, y: float) -> Iterator[str]:
    """The bars of a line, which are blocks beside each other in a terminal."""
    for bar in BLOCKS.finditer(line):
        x, width = MARGIN + bar.start() * CHARACTER_WIDTH, len(bar[0]) * CHARACTER_WIDTH
        yield f'<rect class="bar" x="{x:.1f}" y="{y - 11:g}" width="{width:.1f}" height="13"/>'


if __name__ == "__main__":
    PICTURE.write_text(drawn(session()), "utf-8")
