"""Text for GitHub's markdown that shows as it is: no markup, no HTML, no link and nobody mentioned comes of it."""

import html
import re

from batchrun.escaping import escape_control

_MARKUP = re.compile(r"[\\`*_\[\]|~$]|^[-+=#]|(?<=www)\.|:(?=//)", re.IGNORECASE)
"""What is markup at the beginning of a line or anywhere, and what GitHub makes a link of."""
_NUMBERED = re.compile(r"^\d{1,9}(?=[.)])")
"""The number of a point of a list."""
_REFERENCE = re.compile(r"@|#(?=\d)|\bGH(?=-\d)", re.IGNORECASE)
"""What names a person or an issue. GitHub looks for these in the text that markdown has become, where a backslash has
gone: only another character helps, and a space without width is not seen."""


def escaped_lines(text: object) -> str:
    """Return a text of several lines in the same way, with its lines."""
    return "<br>".join(escaped(line) for line in str(text).split("\n") if line.strip())


def escaped(text: object) -> str:
    """Return the text on one line, for a place within a line of markdown: a cell of a table, a point of a list."""
    plain = _MARKUP.sub(r"\\\g<0>", escape_control(text).strip())
    inert = _NUMBERED.sub(r"\g<0>\\", html.escape(plain, quote=False))
    return _REFERENCE.sub(r"\g<0>&#8203;", inert)
