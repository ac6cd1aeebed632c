"""HTML and SVG that is safe by how it is made: text becomes markup only by being escaped."""

import html

from batchrun.escaping import escape_control

VOID = frozenset({"meta", "input", "br", "img", "line", "rect", "circle", "path", "polyline", "polygon"})
"""Elements that may be empty. Then they are closed by themselves, so that the page is well-formed XML too."""


class Markup(str):
    """A piece of HTML or SVG in which everything that others wrote is escaped."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str | float | None) -> Markup:
    """Return an element. A child that is no `Markup` is text, and is escaped; an attribute that is None is left out.

    An underscore in the name of an attribute is a hyphen, and one at its end is dropped: `class_`, `aria_label`.
    """
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID and not children:
        return Markup(f"<{name}{shown}/>")
    return Markup(f"<{name}{shown}>{joined(*children)}</{name}>")


def joined(*children: str) -> Markup:
    """Return the children one after the other, text among them escaped."""
    return Markup("".join(child if isinstance(child, Markup) else text(child) for child in children))


def text(words: str) -> Markup:
    """Escape text, control characters included, so that the text shows as it is and does nothing."""
    return Markup(html.escape(escape_control(words)))
