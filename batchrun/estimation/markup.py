"""How much of a text is markup or base64: what is sent raw is paid, and says little."""

import re

SLICE, MOST_SLICES = 512, 16
"""The characters of a slice, and how many slices of a long text are looked at."""
LOOK_BACK = 100_000
"""How far back the beginning of a tag is looked for: the drawings of an SVG are long tags."""
_TAG = re.compile(r"<(?:[A-Za-z/?]|!(?:--|[A-Z\[]))[^<>]*(?:>|\Z)")
_OPEN = re.compile(r"<(?:[A-Za-z/?]|!(?:--|[A-Z\[]))")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{40,}={0,2}")
_KINDS = (re.compile("[A-Z]"), re.compile("[a-z]"), re.compile("[0-9]"))
"""What all base64 has, other than words, numbers and sequences of genes."""
CODE = (".md", ".markdown", ".js", ".jsx", ".ts", ".tsx", ".vue", ".svelte", ".php", ".erb", ".py", ".java", ".cs")
"""Endings of names whose texts are meant as they are."""


def markup_share(text: str) -> float:
    """Return the share of a text that is tags of markup or base64, from a sample of the text."""
    count = min(MOST_SLICES, -(-len(text) // (2 * SLICE)))
    starts = [(2 * number + 1) * len(text) // (2 * count) - SLICE // 2 for number in range(count)]
    slices = [(max(0, start), text[max(0, start) : start + SLICE]) for start in starts]
    found = sum(_in_tags(text, start, piece) or _in_base64(piece) for start, piece in slices)
    return found / max(1, sum(len(piece) for _, piece in slices))


def _in_tags(text: str, start: int, piece: str) -> int:
    """Count the characters of a slice that are inside tags, of which one may have begun before the slice."""
    if ">" not in piece and "<" not in text:
        return 0
    opened = text.rfind("<", max(0, start - LOOK_BACK), start)
    inside = opened > text.rfind(">", max(0, start - LOOK_BACK), start) and _OPEN.match(text, opened) is not None
    end = piece.find(">") + 1 or len(piece) if inside else 0
    if "<" in piece[:end]:  # no tag, but a sign for "less"
        end = 0
    return end + sum(len(tag[0]) for tag in _TAG.finditer(piece, end))


def _in_base64(piece: str) -> int:
    if len(piece.split()) * 16 > len(piece):  # words, which are looked through in a third of the time
        return 0
    return sum(len(run[0]) for run in _BASE64.finditer(piece) if all(kind.search(run[0]) for kind in _KINDS))
