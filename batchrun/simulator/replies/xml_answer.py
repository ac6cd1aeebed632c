"""Answers as XML, as models write XML: now and then with a sentence before it and a fence around it."""

from typing import Any

from batchrun.answers.xml_words import element


def xml_answer(answer: Any, root: str, *, chatty: bool = False) -> str:
    """Write an answer as one element with an element for each field."""
    written = element(root, answer)
    return f"Here is the answer:\n\n```xml\n{written}\n```" if chatty else written
