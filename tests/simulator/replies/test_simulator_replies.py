"""Answers are valid for their schema, the same every time, and plausible for a contract."""

from datetime import date
from typing import Any

import pytest

from batchrun.simulator.replies.document import (
    document_in,
    find_dates,
    find_durations,
    find_money,
)
from batchrun.simulator.replies.schema_answer import SchemaAnswer

KEY = "0123456789abcdef"
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
    return SchemaAnswer(document, schema, seed).answer()


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
        (f'<d id="<data-{KEY}>a</data-{KEY}>">\n<data-{KEY}>\n<b>\nText\n</b>\n</data-{KEY}>\n</d>', "<b>\nText\n</b>"),
        (f"<data-{KEY}>\nnever closed", f"<data-{KEY}>\nnever closed"),
    ],
)
def test_the_document_is_what_the_tag_or_the_fence_encloses(prompt: str, document: str) -> None:
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
    assert next(find_dates(text), None) == expected


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
    assert next(find_money(text)) == (amount, currency)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("Twelve (12) months", (12, "month")),
        ("a 3-year term", (3, "year")),
        ("90 days", (90, "day")),
        ("two weeks", (2, "week")),
    ],
)
def test_durations(text: str, duration: tuple[int, str]) -> None:
    assert next(find_durations(text)) == duration
