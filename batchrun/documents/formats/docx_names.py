"""The names of the elements of Word files that the readers look at."""

from batchrun.documents.formats.xml_tree import Element

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_OFFICE = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_VML = "{urn:schemas-microsoft-com:vml}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"

VAL = f"{_W}val"
ID = f"{_W}id"
TYPE = f"{_W}type"
LINK = f"{_OFFICE}id"


def w(name: str) -> str:
    """Return the full name of an element or attribute of Word's own."""
    return _W + name


def m(name: str) -> str:
    """Return the full name of an element or attribute of formulas."""
    return _MATH + name


def v(name: str) -> str:
    """Return the full name of an element of old drawings."""
    return _VML + name


ALTERNATIVES = f"{_MC}AlternateContent"
FALLBACK = f"{_MC}Fallback"


def value(parent: Element | None, name: str) -> str | None:
    """Return the value of a property: `<w:name w:val="value"/>` within the parent; None if there is none."""
    found = parent.find(_W + name) if parent is not None else None
    return found.get(VAL) if found is not None else None


def switched_on(parent: Element | None, name: str) -> bool:
    """Whether a property that is on or off is on; a property without a value is on."""
    return bool(switch(parent, name))


def switch(parent: Element | None, name: str) -> bool | None:
    """Return whether a property is on or off, and None if the parent says nothing about the property."""
    found = parent.find(_W + name) if parent is not None else None
    return None if found is None else found.get(VAL) not in ("0", "false", "off")
