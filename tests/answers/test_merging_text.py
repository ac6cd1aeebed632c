"""The text of a request that merges answers: the same answers give the same text, and other answers another one."""

import json

from batchrun.answers.merging_text import INSTRUCTION, AnsweredPart, merging_text


def part(number: int, places: str = "", **answer: object) -> AnsweredPart:
    return AnsweredPart(number, 2, places, answer)


def test_the_answers_follow_the_instruction_as_json() -> None:
    text = merging_text([part(1, "pages 1-3", title="Über \u2028"), part(2, title=None)])

    assert text.startswith(INSTRUCTION)
    assert json.loads(text.removeprefix(INSTRUCTION)) == [
        {"part": 1, "of": 2, "covers": "pages 1-3", "answer": {"title": "Über \u2028"}},
        {"part": 2, "of": 2, "answer": {"title": None}},
    ]


def test_every_difference_is_a_difference_of_the_text() -> None:
    texts = [
        merging_text([part(1, title="a"), part(2, title="b")]),
        merging_text([part(1, title="a"), part(2, title="c")]),
        merging_text([part(1, "page 1", title="a"), part(2, title="b")]),
        merging_text([part(2, title="a"), part(1, title="b")]),
    ]
    assert len(set(texts)) == len(texts)
    assert texts[0] == merging_text([part(1, title="a"), part(2, title="b")])
