# ruff: noqa: RUF001 - such signs are in every letter
"""A letter as an older word processor writes one: RTF, with signs of its code page and of Unicode."""

_PARAGRAPHS = (
    r"\b Dunmarrow Mutual\b0\line 1 Exchange Square, Tilmouth TM1 4AA",
    "6 November 2026",
    r"Bramble Lane Studios Ltd\line 12 Bramble Lane\line Wexcombe WX1 3QF",
    r"\b Policy DM-558120: your claim of 19 October 2026\b0",
    "Dear Mr Renwick",
    "thank you for the report on the water damage of 17 October 2026 in Unit 7, Canal Yard.",
    "Our surveyor, Ms Odile Farrant, found the damage to be covered. We have accepted your claim and will pay "
    "£3,265.50, which is the loss of £3,515.50 less the excess of £250.00, to your account within ten working days.",
    "The policy ends on 31 December 2026. If you renew it, please tell us how much timber you store: stock above "
    "£40,000 needs a separate cover.",
    "Yours sincerely",
    r"Per Aksel Lind\u275?\line Claims department – claims@dunmarrow.example",
)
_HEAD = r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\froman Times New Roman;}}\paperw11906\paperh16838\f0\fs22"


def make() -> bytes:
    """Return the letter as RTF."""
    paragraphs = "\n".join(f"\\pard\\sa200 {_escaped(paragraph)}\\par" for paragraph in _PARAGRAPHS)
    return f"{_HEAD}\n{paragraphs}\n}}\n".encode("ascii")


def _escaped(text: str) -> str:
    """Write signs beyond ASCII as bytes of the code page."""
    return "".join(sign if sign.isascii() else f"\\'{sign.encode('cp1252').hex()}" for sign in text)
