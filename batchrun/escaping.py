"""Text that somebody else wrote (documents, replies, file names, the API's words), made inert wherever it is shown."""

from unicodedata import category

_ACTIVE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control characters (line breaks and tabs too), invisible characters and the marks that turn the direction of writing,
lone halves of characters, which no file can hold, and the separators that Unicode treats as line breaks."""


def escape_control(text: object) -> str:
    """Return the text on one line, unable to command a terminal: each active character is written as an escape."""
    shown = str(text)
    if shown.isprintable():  # nearly always, and found out much sooner
        return shown
    return "".join(_escaped(character) if category(character) in _ACTIVE else character for character in shown)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
