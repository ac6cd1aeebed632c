"""Answers are valid for their schema, the same every time, and plausible for a contract."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from batchrun.simulator.answers import Answering
from batchrun.simulator.contract_findings import find_laws, find_parties
from batchrun.simulator.fault_kinds import Spoiling
from batchrun.simulator.findings import find_dates, find_durations, find_money
from batchrun.simulator.models import find_model
from batchrun.simulator.producing import Production, produce
from batchrun.simulator.reading import Reading, document_in
from batchrun.simulator.schemas import schema_problems

CONTRACT = """MASTER SERVICES AGREEMENT

This Agreement is entered into as of March 1, 2024 (the "Effective Date") between Northwind Robotics GmbH, a company
organised under the laws of Germany ("Supplier"), and Contoso Corporation, a Delaware corporation (the "Customer").

1. Term. This Agreement continues for a term of twenty-four (24) months. It renews automatically unless either party
gives notice at least 60 days before the end of the term.

2. Fees. Customer shall pay Supplier USD 12,500.00 per month.

3. Liability. The aggregate liability of either party shall not exceed USD 250,000.

4. Governing Law. This Agreement shall be governed by the laws of the State of Delaware.

Signed on 15 March 2024.
"""

FIELDS: dict[str, tuple[dict[str, Any], object]] = {
    "party_a": ({"type": "string", "description": "First named party"}, "Northwind Robotics GmbH"),
    "party_b": ({"type": "string"}, "Contoso Corporation"),
    "parties": ({"type": "array", "items": {"type": "string"}}, ["Northwind Robotics GmbH", "Contoso Corporation"]),
    "effective_date": ({"type": "string", "format": "date"}, "2024-03-01"),
    "signature_date": ({"type": "string", "format": "date"}, "2024-03-15"),
    "signed_at": ({"type": "string", "format": "date-time"}, "2024-03-15T00:00:00Z"),
    "expiry_date": ({"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]}, None),
    "governing_law": ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "State of Delaware"),
    "term_months": ({"type": "integer"}, 24),
    "notice_days": ({"type": ["integer", "null"]}, 60),
    "auto_renewal": ({"type": "boolean"}, True),
    "arbitration": ({"type": ["boolean", "null"]}, None),
    "liability_cap_usd": ({"type": "number"}, 250_000),
    "monthly_fee": ({"type": "number"}, 12_500),
    "currency": ({"type": "string"}, "USD"),
    "contract_type": ({"type": "string", "enum": ["nda", "msa", "lease", "other"]}, "msa"),
    "colour": ({"type": "string", "enum": ["red", "green", "other"]}, "other"),
    "title": ({"type": "string"}, "MASTER SERVICES AGREEMENT"),
    "short_title": ({"type": "string", "description": "{maxLength: 6}"}, "MASTER"),
    "evidence_quote": (
        {"type": "string", "description": "The sentence that fixes the governing law, word for word"},
        "4. Governing Law. This Agreement shall be governed by the laws of the State of Delaware.",
    ),
}


def ask(schema: dict[str, Any], document: str = CONTRACT, seed: bytes = b"1") -> Any:
    return Answering(Reading(document), schema, seed).answer()


def with_field(name: str, definition: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {name: definition}, "required": [name], "additionalProperties": False}


@pytest.mark.parametrize("name", FIELDS)
def test_finds_what_a_contract_says(name: str) -> None:
    definition, expected = FIELDS[name]

    assert ask(with_field(name, definition)) == {name: expected}


@pytest.mark.parametrize(
    ("description", "low", "high"),
    [("{minimum: 0, maximum: 1}", 0, 1), ("How sure?\n\n{minimum: 0, maximum: 100}", 60, 100), ("", 0, 1)],
)
def test_confidence_keeps_to_the_bounds_told(description: str, low: float, high: float) -> None:
    answer = ask(with_field("confidence", {"type": "number", "description": description}))

    assert low <= answer["confidence"] <= high


def test_a_pattern_told_in_the_description_is_looked_for() -> None:
    definition = {"type": "string", "description": "Invoice number\n\n{pattern: ^INV-\\d+$}"}

    assert ask(with_field("invoice", definition), "Please pay INV-2041 now.") == {"invoice": "INV-2041"}


def test_a_labelled_line_is_taken_at_its_word() -> None:
    assert ask(with_field("subject", {"type": "string"}), "From: Ada\nSubject: Printer on fire\n\nHelp!") == {
        "subject": "Printer on fire"
    }


def test_required_properties_come_first_and_what_was_not_found_is_left_out() -> None:
    schema = {
        "type": "object",
        "properties": {
            "arbitration_seat": {"type": "string", "format": "date"},
            "fee": {"type": "number"},
            "currency": {"type": "string"},
        },
        "required": ["currency"],
        "additionalProperties": False,
    }

    assert list(ask(schema)) == ["currency", "fee"]


def test_objects_in_arrays_are_read_from_a_sentence_each() -> None:
    amount = {"type": "object", "properties": {"amount": {"type": "number"}}, "required": ["amount"]}

    answer = ask(
        with_field("fees_and_liability", {"type": "array", "items": {**amount, "additionalProperties": False}})
    )

    assert answer == {"fees_and_liability": [{"amount": 12_500}, {"amount": 250_000}]}


@pytest.mark.parametrize(
    ("prompt", "document"),
    [
        ('Read:\n<document id="a">\nText\n</document>\nAnswer.', "Text"),
        ("<ticket>\n<b>\nInner\n</b>\n</ticket>", "<b>\nInner\n</b>"),
        ("No tags, all document.", "No tags, all document."),
        ("A < b and <open>\nnever closed", "A < b and <open>\nnever closed"),
    ],
)
def test_the_document_is_what_the_tag_encloses(prompt: str, document: str) -> None:
    assert document_in(prompt) == document


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dated March 1, 2024", date(2024, 3, 1)),
        ("this 1st day of March, 2024", date(2024, 3, 1)),
        ("am 1. März 2024", date(2024, 3, 1)),
        ("01.03.2024", date(2024, 3, 1)),
        ("2024-03-01", date(2024, 3, 1)),
        ("02/13/2024", date(2024, 2, 13)),
        ("31.02.2024", None),
        ("version 20240301", None),
    ],
)
def test_dates(text: str, expected: date | None) -> None:
    assert next((found.value for found in find_dates(text)), None) == expected


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("USD 1,200,000.00", 1_200_000, "USD"),
        ("€ 1.200.000,50", 1_200_000.5, "EUR"),
        ("1'500 CHF", 1_500, "CHF"),
        ("a fee of 900 euros", 900, "EUR"),
        ("$12.", 12, "USD"),
    ],
)
def test_money(text: str, amount: float, currency: str) -> None:
    money = next(find_money(text)).value

    assert (money.amount, money.currency) == (amount, currency)


@pytest.mark.parametrize(
    ("text", "months"), [("Twelve (12) months", 12), ("a 3-year term", 36), ("90 days", 3), ("24 months", 24)]
)
def test_durations(text: str, months: int) -> None:
    assert next(find_durations(text)).value.months == months


def test_laws() -> None:
    text = "under Dutch law, New Zealand law, applicable law, and the laws of England and Wales."

    assert [found.value for found in find_laws(text)] == ["Dutch law", "New Zealand", "England and Wales"]


@pytest.mark.parametrize(
    ("text", "parties"),
    [
        ("between Ada Lovelace, of London, and Charles Babbage (the Buyer)", ["Ada Lovelace", "Charles Babbage"]),
        ("Owner: Callow Park, a charity\n**Hirer:** Horologists (South West)", ["Callow Park", "Horologists"]),
        ('VERANO S.L., Spain ("Principal")\nand\nKILIMA LTD, Kenya ("Distributor")', ["VERANO S.L.", "KILIMA LTD"]),
        (
            "(a) Brightwater Analytics, a corporation; and\n(b) Cascadia, a cooperative",
            ["Brightwater Analytics", "Cascadia"],
        ),
        ("A letter to Alder & Roe Steel Ltd.", ["Alder & Roe Steel Ltd."]),
    ],
)
def test_parties(text: str, parties: list[str]) -> None:
    assert list(dict.fromkeys(find_parties(text)))[:2] == parties


names = st.text("abcdefghij_", min_size=1, max_size=8)
descriptions = st.sampled_from(["", "The fee", "{minimum: 3, maximum: 9}", "{maxLength: 4}", "{maxItems: 1}"])
leaves: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.sampled_from(
        [
            *({"type": name} for name in ("string", "integer", "number", "boolean", "null")),
            *({"type": "string", "format": form} for form in ("date", "date-time", "email", "uuid", "uri", "ipv4")),
            {"type": ["string", "null"]},
            {"type": "string", "enum": ["nda", "msa", "other"]},
            {"enum": [1, 2, None]},
            {"const": "fixed"},
            {"$ref": "#/$defs/Money"},
        ]
    )
)


def objects(children: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    def build(properties: dict[str, Any], needed: int) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties)[:needed],
            "additionalProperties": False,
        }

    return st.builds(build, st.dictionaries(names, children, max_size=4), st.integers(0, 4))


def branches(children: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    arrays = st.builds(
        lambda items, least: {"type": "array", "items": items, "minItems": least}, children, st.integers(0, 1)
    )
    unions = st.lists(children, min_size=1, max_size=3).map(lambda variants: {"anyOf": variants})
    described = st.builds(lambda child, told: {**child, "description": told}, children, descriptions)
    return st.one_of(objects(children), arrays, unions, described)


schemas = objects(st.recursive(leaves, branches, max_leaves=8)).map(
    lambda schema: {
        **schema,
        "$defs": {"Money": with_field("amount", {"type": "number"})},
    }
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(schema=schemas, document=st.sampled_from([CONTRACT, "", "Hello", "2024-13-45 \x00 €"]) | st.text(max_size=80))
def test_every_answer_is_valid_for_its_schema(schema: dict[str, Any], document: str) -> None:
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)

    answer = ask(schema, document)

    validator.validate(answer)
    assert answer == ask(schema, document)


@pytest.mark.slow
@given(schema=schemas)
def test_generated_schemas_are_of_the_kind_that_the_api_takes(schema: dict[str, Any]) -> None:
    assert [problem for problem in schema_problems(schema) if not problem.startswith("Schemas contains too many")] == []


def make(
    spoiling: Spoiling | None = None, *, chance: float = 0.99, model: str = "claude-haiku-5-5", **params: Any
) -> Production:
    card = find_model(model)
    assert card is not None
    schema = with_field("party_a", {"type": "string"})
    request = {
        "max_tokens": 500,
        "messages": [{"role": "user", "content": CONTRACT}],
        "output_config": {"format": {"type": "json_schema", "schema": schema}},
        **params,
    }
    return produce(request, card, seed=0, chance=chance, spoiling=spoiling)


def test_thinking_models_begin_with_an_empty_thought_now_and_then() -> None:
    thinking, silent, older = make(chance=0.1), make(chance=0.9), make(chance=0.1, model="claude-opus-4-8")

    assert thinking.thought == ""
    assert thinking.thinking_tokens > 0
    assert thinking.text == silent.text
    assert (silent.thought, silent.thinking_tokens) == (None, 0)
    assert older.thought is None


def test_thinking_that_is_turned_off_stays_off() -> None:
    assert make(chance=0.1, thinking={"type": "disabled"}).thought is None


@pytest.mark.parametrize("max_tokens", [0, 1, 5, 20])
def test_max_tokens_ends_an_answer(max_tokens: int) -> None:
    whole, cut = make(chance=0.1), make(chance=0.1, max_tokens=max_tokens)

    assert cut.stop_reason == "max_tokens"
    assert cut.output_tokens == max_tokens
    assert whole.text.startswith(cut.text)


@pytest.mark.parametrize(
    ("spoiling", "text", "stop_reason"),
    [
        (Spoiling.INVALID_JSON, '{"party_a":"Northwind Ro…', "end_turn"),
        (Spoiling.SCHEMA_VIOLATION, "{}", "end_turn"),
        (Spoiling.TRUNCATED, '{"party_a":"Northw', "max_tokens"),
        (Spoiling.REFUSED, "", "refusal"),
        (Spoiling.EMPTY, "", "end_turn"),
        (Spoiling.WINDOW_EXCEEDED, '{"party_a":"Northw', "model_context_window_exceeded"),
        (Spoiling.THINKING_FIRST, '{"party_a":"Northwind Robotics GmbH"}', "end_turn"),
    ],
)
def test_spoilt_answers(spoiling: Spoiling, text: str, stop_reason: str) -> None:
    production = make(spoiling)

    assert (production.text, production.stop_reason) == (text, stop_reason)
    assert production.output_tokens <= 500


def test_without_a_schema_the_answer_is_short_and_plain() -> None:
    text = make(output_config={}).text

    assert text.startswith("This Agreement is entered into as of March 1, 2024")
    assert len(text) < 500
