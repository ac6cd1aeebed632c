"""Cells of csv that a spreadsheet would run as formulas are exported as text, unless a person wants them raw."""

import csv
import io
from decimal import Decimal

import pytest

from batchrun.cli.export_formats import TEXTS

FORMULAS = ['=cmd|" /C calc"!A0', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=", "-"]
PLAIN = ["", "a=1", " =1", "'=1", "1-2", "text"]
OTHERS = [-5, -1.5, Decimal(-2), None, True]


def cells(*row: object, raw_cells: bool = False) -> list[str]:
    names = [f"c{number}" for number, _ in enumerate(row)]
    return list(csv.reader(io.StringIO("".join(TEXTS["csv"](names, [row], raw_cells)), newline="")))[1]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert cells(text) == [f"'{text}"]
    assert cells(text, raw_cells=True) == [text]


def test_other_text_and_numbers_stay() -> None:
    assert cells(*PLAIN) == PLAIN
    assert cells(*OTHERS) == ["-5", "-1.5", "-2", "", "True"]
    assert cells(["-1"], {"a": "=1"}) == ['["-1"]', '{"a": "=1"}']


def test_names_of_columns_too() -> None:
    assert "".join(TEXTS["csv"](["=a", "b"], [], False)) == "'=a,b\n"


@pytest.mark.parametrize("format_", ["json", "jsonl"])
def test_programs_get_what_is_there(format_: str) -> None:
    assert '"=1"' in "".join(TEXTS[format_](["a"], [["=1"]], False))
