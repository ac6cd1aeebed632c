"""What the model reads when a request merges the answers over the parts of one document into one answer."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

INSTRUCTION = """\
This document was too long to be read at once. It was read in consecutive parts, which overlap a little, and the same \
task was done for each part. Instead of the document's text, the answers for its parts follow, in the order of the \
parts, each with the number of its part and the places in the document that the part covers.

Give the one answer for the whole document, from these answers alone. An entry that two neighbouring parts have \
because they overlap stands in your answer once. An entry that one part has and another lacks stands in your answer. \
Where answers contradict each other, decide by the task, as a reader of the whole document would. Do not invent \
anything that no part's answer says.
"""
"""Every change of this text makes every merging request new work."""
PREFACE = f"{INSTRUCTION}\n"
"""What stands before the answers."""


@dataclass(frozen=True, slots=True)
class AnsweredPart:
    """The answer over one part of a document."""

    number: int
    total: int
    places: str
    """What the part covers, for people: "pages 12-31"; empty for a document without places."""
    answer: Any


def merging_text(parts: Sequence[AnsweredPart]) -> str:
    """Write what takes the place of the document's text. The same answers always give the same text."""
    lines = ",\n".join(json.dumps(_entry(part), ensure_ascii=False) for part in parts)
    return f"{PREFACE}[\n{lines}\n]"


def _entry(part: AnsweredPart) -> dict[str, Any]:
    covers = {"covers": part.places} if part.places else {}
    return {"part": part.number, "of": part.total, **covers, "answer": part.answer}
