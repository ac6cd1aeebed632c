"""The names of the elements of OpenDocument files that the readers look at."""

_OASIS = "{urn:oasis:names:tc:opendocument:xmlns:"


def text(name: str) -> str:
    """Return the full name of an element or attribute of texts."""
    return f"{_OASIS}text:1.0}}{name}"


def style(name: str) -> str:
    """Return the full name of an element or attribute of styles."""
    return f"{_OASIS}style:1.0}}{name}"


def table(name: str) -> str:
    """Return the full name of an element or attribute of tables."""
    return f"{_OASIS}table:1.0}}{name}"


def office(name: str) -> str:
    """Return the full name of an element that every kind of file has."""
    return f"{_OASIS}office:1.0}}{name}"


OFFICE_TEXT = office("text")
STYLE_NAME = style("name")
STYLE_DISPLAY = style("display")
TRACKED_CHANGES = text("tracked-changes")
"""The deletions, which the file keeps beside the text."""
ALTERNATIVE_TEXTS = tuple(f"{_OASIS}svg-compatible:1.0}}{name}" for name in ("title", "desc"))
