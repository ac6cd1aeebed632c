"""Examples: documents with the answers that are wanted, as turns before every document, and checked like answers."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from batchrun.answers.xml_text import parsed_xml
from batchrun.document import Document
from batchrun.job.examples import MOST_BYTES, in_order
from batchrun.job.fence import fence_key
from batchrun.job.load import load_job
from batchrun.job.problems import JobFileError
from batchrun.job.render import Renderer
from batchrun.planning.request_template import RequestTemplate

GOOD = """\
[job]
name = "good"
[source]
type = "files"
include = ["*.txt"]
[model]
name = "claude-haiku-5-5"
max_tokens = 100
[prompt]
user = "Read {{ doc.id }}:\\n{{ doc.text }}"
[[prompt.example]]
document = "A lease of 3 May."
output = { kind = "lease", title = "Lease" }
[[prompt.example]]
document_file = "prompts/letter.txt"
[prompt.example.output]
title = "Letter"
kind = "other"
day = 2024-05-03
at = 2024-05-03T10:00:00Z
parties = [{ name = "Ada" }, { age = 7, name = "Bo" }]
[output.fields]
title = { type = "string", max_length = 9 }
kind = { enum = ["lease", "other"] }
day = "date?"
at = "datetime?"
size = "number?"
count = "integer?"
parties = { type = "array?", items = { type = "object", fields = { name = "string", age = "integer?" } } }
[budget]
max_cost_usd = 1
"""
HEADER = "[[prompt.example]]\n"
FIRST = 'document = "A lease of 3 May."\n'
FIRST_OUTPUT = '{ kind = "lease", title = "Lease" }'
ROWS = ('type = "files"\ninclude = ["*.txt"]', 'type = "table"\npath = "a.csv"\nid = "i"\ntext = "t"')
COLUMN = ("Read {{ doc.id }}", "Read {{ doc.customer }}")
LEASE = {"title": "Lease", "kind": "lease", "day": None, "at": None, "size": None, "count": None, "parties": None}
LETTER = {
    "title": "Letter", "kind": "other", "day": "2024-05-03", "at": "2024-05-03T10:00:00+00:00", "size": None,
    "count": None, "parties": [{"name": "Ada", "age": None}, {"name": "Bo", "age": 7}],
}  # fmt: skip
Load = Callable[..., Renderer]


def renderer_of(folder: Path, *changes: tuple[str, str]) -> Renderer:
    """The renderer of the good job after some changes."""
    return template_of(folder, *changes).renderer


def template_of(folder: Path, *changes: tuple[str, str]) -> RequestTemplate:
    text = GOOD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / "prompts").mkdir(exist_ok=True)
    if not (folder / "prompts" / "letter.txt").exists():
        (folder / "prompts" / "letter.txt").write_bytes("\ufeffDear Bo,\r\nhello.\r\n".encode())
    (folder / "job.toml").write_text(text)
    return RequestTemplate(load_job(folder / "job.toml"))


def problems(folder: Path, *changes: tuple[str, str]) -> list[tuple[str, str]]:
    """What is wrong with a changed job, each problem with its place."""
    with pytest.raises(JobFileError) as caught:
        template_of(folder, *changes)
    blocks = [block.split("\n") for block in caught.value.rendered.split("\n\n")[:-1]]
    return [(lines[1].rpartition("job.toml:")[2], lines[0].removeprefix("error: ")) for lines in blocks]


def said(one: Any) -> str:
    return json.dumps(one, separators=(",", ":"))


def test_examples_are_turns_before_the_document(tmp_path: Path) -> None:
    body = json.loads(template_of(tmp_path).request(Document("a.txt", "a.txt", "hello")).body)

    assert body["messages"] == [
        {"role": "user", "content": "Read example 1:\nA lease of 3 May."},
        {"role": "assistant", "content": said(LEASE)},
        {"role": "user", "content": "Read example 2:\nDear Bo,\nhello.\n"},
        {"role": "assistant", "content": said(LETTER)},
        {"role": "user", "content": "Read a.txt:\nhello"},
    ]


def test_an_answer_in_xml_is_what_its_reader_reads(tmp_path: Path) -> None:
    xml = ("[output.fields]", '[output]\nmode = "xml"\n[output.fields]')
    lease, letter = (answer for _, answer in renderer_of(tmp_path, xml, ('"Lease"', '"A & <B>"')).turns)

    assert lease.startswith("<answer><title>A &amp; &lt;B&gt;</title><kind>lease</kind><day></day>")
    schema = load_job(tmp_path / "job.toml").form.full_schema
    assert [parsed_xml(text, schema) for text in (lease, letter)] == [LEASE | {"title": "A & <B>"}, LETTER]


def test_an_answer_in_text_is_the_only_field(tmp_path: Path) -> None:
    mode = ("[output.fields]", '[output]\nmode = "text"\n[output.fields]')
    output = (FIRST_OUTPUT, '{ title = "Lease" }')

    assert [answer for _, answer in renderer_of(tmp_path, *one_field('"string"'), output, mode).turns] == ["Lease"]


def test_an_answer_without_text_is_no_turn(tmp_path: Path) -> None:
    mode = ("[output.fields]", '[output]\nmode = "text"\n[output.fields]')
    found = problems(tmp_path, *one_field('"string"'), (FIRST_OUTPUT, '{ title = " " }'), mode)
    assert found == [("13:10", "`[[prompt.example]]` 1: the answer has no text")]


def one_field(definition: str) -> list[tuple[str, str]]:
    """The changes that leave one field and one example."""
    fields = GOOD[GOOD.index("title = { type") : GOOD.index("[budget]")]
    second = GOOD[GOOD.index("[[prompt.example]]\ndocument_file") : GOOD.index("[output.fields]")]
    return [(second, ""), (fields, f"title = {{ type = {definition} }}\n")]


def test_an_example_has_the_quotes_that_are_asked_for(tmp_path: Path) -> None:
    changes = one_field('"string", evidence = true')
    bare, quoted = '{ title = "Lease" }', '{ title = "Lease", title_quote = "A lease of 3 May." }'

    found = problems(tmp_path, *changes, (FIRST_OUTPUT, bare))
    assert [words for _, words in found] == ["`[[prompt.example]]` 1: title_quote: required"]
    ((_, answer),) = renderer_of(tmp_path, *changes, (FIRST_OUTPUT, quoted)).turns
    assert answer == '{"title_quote":"A lease of 3 May.","title":"Lease"}'


def test_a_field_that_is_left_out_has_an_empty_quote(tmp_path: Path) -> None:
    changes = one_field('"string?", evidence = true }\nday = { type = "date?", evidence = true')
    written = '{ title = "Lease", title_quote = "A lease of 3 May." }'

    ((_, answer),) = renderer_of(tmp_path, *changes, (FIRST_OUTPUT, written)).turns

    assert answer == '{"title_quote":"A lease of 3 May.","title":"Lease","day_quote":"","day":null}'


def test_the_documents_of_examples_are_fenced_too(tmp_path: Path) -> None:
    turns = renderer_of(tmp_path, ('\nuser = "Read', '\nfence = true\nuser = "Read')).turns

    key = fence_key(["example 1", "A lease of 3 May."])
    name, text = (f"<data-{key}>{inside}</data-{key}>" for inside in ("example 1", "\nA lease of 3 May.\n"))
    assert turns[0] == (f"Read {name}:\n{text}", said(LEASE))


def test_columns_of_an_example(tmp_path: Path) -> None:
    given = (FIRST, f'{FIRST}columns = {{ customer = "Ada" }}\n')
    second = ('document_file = "prompts/letter.txt"', 'document_file = "prompts/letter.txt"\ncolumns.customer = 7')
    assert [user.partition(":")[0] for user, _ in renderer_of(tmp_path, ROWS, COLUMN, given, second).turns] == [
        "Read Ada", "Read 7",
    ]  # fmt: skip


WRONG = {
    "a value": ('kind = "lease", title', 'kind = "rent", title', "13:19", "1: kind: 'rent' is not one of lease, other"),
    "another spelling": ('"lease", title', '"Lease", title', "13:19", "1: kind: 'Lease' is not one of lease, other"),
    "a rule": ('"Lease"', '"Lease of May"', "13:36", "1: title: 'Lease of May' is longer than 9 characters"),
    "an unknown field": (', title = "Lease"', ', title = "Lease", x = 1', "13:10", "1: 'x' is no field"),
    "a missing field": ('kind = "lease", ', "", "13:10", "1: kind: required"),
    "a deep value": ("age = 7", 'age = "7"', "21:38", "2: parties[1].age: '7' is not a whole number"),
    "no number": (', title = "Lease"', ', title = "Lease", size = nan', "13:10", "1: not JSON: NaN is no number"),
    "too large": (', title = "Lease"', f', title = "Lease", count = {2**64}', "13:10",
                  f"1: {2**64} does not fit into 64 bits"),
    "no date": ("day = 2024-05-03", 'day = "3 May"', "19:7", "2: day: '3 May' is not a date"),
    "a time for a date": ("day = 2024-05-03", "day = 10:00:00", "19:7", "2: day: '10:00:00' is not a date"),
    "no such file": ("prompts/letter.txt", "letter.txt", "15:17", "2: no such file or directory"),
    "a folder": ("prompts/letter.txt", "prompts", "15:17", "2: is a directory"),
    "a missing column": (*COLUMN, "11:1", "1: the prompt uses doc.customer"),
    "an unused column": (FIRST, f"{FIRST}columns = {{ x = 1 }}\n", "13:17", "1: the prompt does not use doc.x"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "place", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_an_example_is_said_at_its_place(
    tmp_path: Path, old: str, new: str, place: str, message: str
) -> None:
    rows = [ROWS] if "doc.customer" in new else []
    found = problems(tmp_path, *rows, (old, new))
    moved = int(place.partition(":")[0]) + len(rows) * 2
    assert (f"{moved}:{place.partition(':')[2]}", f"`[[prompt.example]]` {message}") in found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b" \n", "this file is empty"),
        (b"\xff\xfe", "not UTF-8 (byte 0)"),
        (b"x" * (MOST_BYTES + 1), "this file is larger than 1,000,000 bytes"),
    ],
    ids=["empty", "no text", "large"],
)
def test_what_is_wrong_with_a_file(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "letter.txt").write_bytes(content)
    assert problems(tmp_path) == [("15:17", f"`[[prompt.example]]` 2: {message}")]


FORMS = {
    "two documents": (FIRST, f'{FIRST}document_file = "x"\n', "give `document` or `document_file`, not both"),
    "no document": (FIRST, "", "an example needs `document` or `document_file`"),
    "no output": (f"output = {FIRST_OUTPUT}", "", "missing key `output` in `prompt.example[0]`"),
    "an unknown key": (FIRST, f"{FIRST}documnet = 1\n", "unknown key `documnet` in `prompt.example[0]`"),
    "a list for columns": (FIRST, f"{FIRST}columns = []\n", "input should be a table of text, numbers, true and false"),
    "a date for a column": (FIRST, f"{FIRST}columns = {{ x = 2024-05-03 }}\n", "table of text, numbers, true and"),
    "too many": (HEADER, f"{HEADER}{FIRST}output = {FIRST_OUTPUT}\n" * 19 + HEADER,
                 "`prompt.example`: 21 examples, and a prompt may have 20"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), FORMS.values(), ids=FORMS)
def test_a_table_of_another_form_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    (found,) = problems(tmp_path, (old, new))
    assert message in found[1]


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path, ('"lease", title', '"rent", title'), ('"Letter"', '"A long letter"'), ("age = 7", "age = true")
    )
    assert [place for place, _ in found] == ["13:19", "17:9", "21:38"]


def test_nulls_stand_where_nothing_was_given_and_fields_in_their_order() -> None:
    nullable: dict[str, Any] = {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    inner = {"type": "object", "properties": {"a": nullable, "b": {"type": "string"}}}
    schema = {"type": "object", "properties": {"x": inner, "y": {"type": "array", "items": inner}, "z": nullable}}

    found = in_order({"more": 1, "y": [{"b": "c"}], "x": {"b": "d", "a": 2}}, schema)

    assert json.dumps(found) == ('{"x": {"a": 2, "b": "d"}, "y": [{"a": null, "b": "c"}], "z": null, "more": 1}')


def test_every_change_of_an_example_is_new_work_and_none_leaves_the_bytes(tmp_path: Path) -> None:
    changes: list[tuple[str, str]] = [("Lease", "Lees"), ("of 3 May", "of 4 May"), ("age = 7", "age = 8")]
    of = partial(template_of, tmp_path)
    assert len({of(*some).fingerprint for some in ([], *([change] for change in changes))}) == 4
    examples = GOOD[GOOD.index("[[prompt") : GOOD.index("[output.fields]")]
    without = of((examples, ""))
    assert json.loads(without.request(Document("a", "a", "b")).body)["messages"] == [
        {"role": "user", "content": "Read a:\nb"}
    ]
