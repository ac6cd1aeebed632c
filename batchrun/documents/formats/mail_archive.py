"""Archives of mail (mbox): many mails one after another, each a part with its number as the name."""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from batchrun.documents.formats import Found, Part, ReadOptions, Unusable, UnusablePart, mail

_MAX_MAILS = 200_000
_SEPARATOR = re.compile(
    rb"^From (?=[^\n]{0,200}?\d\d?:\d\d)(?=[^\n]{0,200}?\b[12]\d{3}\b)[^\n]{0,500}\n(?=[!-9;-~]+[ \t]*:|>From )",
    re.MULTILINE,
)
"""The line before each mail: a sender, a time and a year, and after the line a field. A letter has "From " as well."""
_QUOTED_FROM = re.compile(rb"^>(?=>*From )", re.MULTILINE)


def read(data: bytes, options: ReadOptions) -> Iterator[Found]:
    """Yield the mails of an archive, each followed by what is attached to the mail. Raises Unusable without a mail."""
    separators = _separators(data)
    ends = [start for start, _ in separators[1:]] + [len(data)]
    for number, ((_, begin), end) in enumerate(zip(separators, ends, strict=True), 1):
        yield from _mail(str(number), _QUOTED_FROM.sub(b"", data[begin:end]), options)


def _separators(data: bytes) -> list[tuple[int, int]]:
    """Return where the lines before each mail begin and end."""
    spans = [found.span() for found in islice(_SEPARATOR.finditer(data), _MAX_MAILS + 1)]
    if not spans:
        raise Unusable('not an archive of mails: no line such as "From ann@example.org Mon Jan  6 10:00:00 2025" in it')
    if len(spans) > _MAX_MAILS:
        raise Unusable(f"an archive of more than {_MAX_MAILS:,} mails: split it")
    return spans


def _mail(number: str, data: bytes, options: ReadOptions) -> Iterator[Found]:
    try:
        for found in mail.read(data, options):
            yield replace(found, name=_inside(number, found))
    except Unusable as refusal:
        yield UnusablePart(number, str(refusal))


def _inside(number: str, found: Found) -> str:
    return number if isinstance(found, Part) else f"{number}#{found.name}"
