"""File names as printable text, and back: a name may have line breaks, or bytes that are no UTF-8, in it."""

import re

_ESCAPE = re.compile(r"\\(\\|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")


def shown(path: str) -> str:
    r"""Write a path as text that can be printed, stored as UTF-8 and turned back: `a\x0ab`, `caf\xe9`, `one\\two`."""
    if path.isprintable() and "\\" not in path:
        return path
    return "".join(map(_shown_char, path))


def actual(shown_path: str) -> str:
    """Return the path that `shown` has written."""
    if "\\" not in shown_path:
        return shown_path
    return _ESCAPE.sub(lambda escape: _actual_char(escape[1]), shown_path)


def _shown_char(char: str) -> str:
    code = ord(char)
    if char == "\\":
        return r"\\"
    if char.isprintable():
        return char
    if 0xDC80 <= code <= 0xDCFF:  # what Python makes of a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _actual_char(escape: str) -> str:
    if escape == "\\":
        return escape
    code = int(escape[1:], 16)
    return chr(code + 0xDC00 if escape[0] == "x" and code >= 0x80 else code)
