"""What numbers, amounts and dates mean."""

import pytest

from batchrun.answers.evidence.figures import figures, with_whole_numbers


@pytest.mark.parametrize(
    ("text", "meanings"),
    [
        ("thirty (30) days, 30 days", ["#30", "#30"]),
        ("thirty (60) days", ["#30", "#60"]),
        ("$5 €5 US$5 USD 5 5 dollars", ["#5$", "#5€", "#5us$", "#5us$", "#5$"]),
        ("5% five percent 5 per cent 5", ["#5%", "#5%", "#5%", "#5"]),
        ("1,500 1500 1.500 1,5 1.5", ["#1500", "#1500", "#1.500", "#=1,5", "#1.5"]),
        ("7,517,549 7.517.549 7'517'549", ["#7517549"] * 3),
        ("1,234.56 1.234,56", ["#1234.56", "#1234.56"]),
        ("$1.50 $1.5 Section 1.50", ["#1.5$", "#1.5$", "#1.50"]),
        ("two hundred and fifty thousand 250,000", ["#250000", "#250000"]),
        ("one and two", ["#1", "#2"]),
        ("one two", ["#=onetwo"]),
        ("one hundred sixty", ["#160"]),
        ("USD1,000 EUR 5.000,00", ["#1000us$", "#5000€"]),
        ("$2.5 million", ["#2500000$"]),
        ("-5 \u22125 3-5 10:30", ["#-5", "#-5", "#=3-5", "#=10:30"]),
        ("<5 ≥5", ["#<5", "#≥5"]),
        ("1st first second", ["#1th", "#1th", "#2th"]),
        ("January 5, 2012; 5 Jan. 2012; the 5th day of January, 2012; 2012-01-05", ["#2012-01-05"] * 4),
        ("fifth day of January 2012", ["#2012-01-05"]),
        ("31/12/2024 12/31/2024 03/04/2024", ["#2024-12-31", "#2024-12-31", "#=03/04/2024"]),
        ("June 31, 2012", ["#=june31,2012"]),
        ("24months A4 1½ 10²", []),
    ],
)
def test_figures_have_a_meaning(text: str, meanings: list[str]) -> None:
    assert [figure.meaning for figure in figures(text)] == meanings


@pytest.mark.parametrize(
    ("text", "part", "whole"),
    [
        ("a rate of 5.75% applies", "rate of 5", "rate of 5.75%"),
        ("pay $500,000 now", "500,000 now", "$500,000 now"),
        ("pay US$500,000 now", "000 now", "US$500,000 now"),
        ("pay 5 million now", "pay 5", "pay 5 million"),
        ("at -5 degrees", "5 degrees", "-5 degrees"),
        ("Schedule A-5 here", "5 here", "5 here"),
        ("the sum of 5. Then", "sum of 5", "sum of 5"),
        ("one hundred sixty dollars", "sixty", "one hundred sixty dollars"),
        ("a fee of five hundred thousand.", "of five", "of five hundred thousand"),
        ("no number here", "number", "number"),
    ],
)
def test_a_number_is_not_cut(text: str, part: str, whole: str) -> None:
    begin, end = with_whole_numbers(text, text.index(part), text.index(part) + len(part))
    assert text[begin:end] == whole
