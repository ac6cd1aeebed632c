"""The numbers that Word shows before paragraphs, which no paragraph contains."""

import pytest
from office_samples import at, docx, only_part, p, r, table

from batchrun.documents.formats.numerals import (
    NUMBER_FORMATS,
    letters,
    letters_in_columns,
    ordinal,
    ordinal_word,
    roman,
)


def level(index: int, text: str, form: str = "decimal", more: str = "", start: int = 1) -> str:
    content = f'<w:start w:val="{start}"/><w:numFmt w:val="{form}"/>{more}<w:lvlText w:val="{text}"/>'
    return f'<w:lvl w:ilvl="{index}">{content}</w:lvl>'


def definition(number: int, *levels: str) -> str:
    return f'<w:abstractNum w:abstractNumId="{number}">{"".join(levels)}</w:abstractNum>'


def num(number: int, of: int, overrides: str = "") -> str:
    return f'<w:num w:numId="{number}"><w:abstractNumId w:val="{of}"/>{overrides}</w:num>'


def override(index: int, content: str) -> str:
    return f'<w:lvlOverride w:ilvl="{index}">{content}</w:lvlOverride>'


def item(level: int, text: str = "x", of: int = 1, more: str = "") -> str:
    return p(text, f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{of}"/></w:numPr>{more}')


def styled(style: str, text: str = "x", more: str = "") -> str:
    return p(text, f'<w:pStyle w:val="{style}"/>{more}')


def labels(body: str, numbering: str, styles: str = "") -> list[str]:
    """The labels of paragraphs whose text is x."""
    lines = only_part("docx", docx(body, numbering=numbering, styles=styles)).text.splitlines()
    assert all(line.endswith("x") for line in lines)
    return [line[:-1].rstrip() for line in lines]


CONTRACT = definition(
    7, level(0, "%1."), level(1, "%1.%2"), level(2, "(%3)", "lowerLetter"), level(3, "(%4)", "lowerRoman")
) + num(1, 7)


def test_a_contract_as_a_person_sees_it() -> None:
    heads = ["Definitions", "Payment"]
    body = "".join(
        [
            item(0, heads[0]),
            item(1, "In this Agreement:"),
            item(2, "Goods means the goods;"),
            item(2, "Price means:"),
            item(3, "the net price, and"),
            item(3, "the tax."),
            p("Unnumbered."),
            item(2, "Term means the term."),
            item(1, "Headings are ignored."),
            item(0, heads[1]),
            item(1, "The Buyer pays. " * 9),
            item(2, "late"),
        ]
    )
    part = only_part("docx", docx(body, numbering=CONTRACT))
    assert part.text.splitlines() == [
        "1. Definitions",
        "1.1 In this Agreement:",
        "(a) Goods means the goods;",
        "(b) Price means:",
        "(i) the net price, and",
        "(ii) the tax.",
        "Unnumbered.",
        "(c) Term means the term.",
        "1.2 Headings are ignored.",
        "2. Payment",
        "2.1 " + ("The Buyer pays. " * 9).rstrip(),
        "(a) late",
    ]
    names = ["1. Definitions", "1.1 In this Agreement:", "1.2 Headings are ignored.", "2. Payment"]
    assert [place.name for place in part.places][:4] == names
    assert part.places[4].name.startswith("2.1 The Buyer pays.")
    assert len(part.places) == 5
    assert all(at(part, place).startswith(place.name.removesuffix("…")) for place in part.places)


def test_a_simple_list_has_places_only_where_its_items_look_like_headings() -> None:
    simple = definition(1, level(0, "%1."), level(1, "%2)", "lowerLetter")) + num(1, 1)
    body = item(0, "Payment") + item(0, "milk,") + item(1, "sub") + item(0, "long " * 20)
    part = only_part("docx", docx(body, numbering=simple))
    assert [place.name for place in part.places] == ["1. Payment"]


@pytest.mark.parametrize(
    ("form", "text", "labels_of_three"),
    [
        ("decimal", "Article %1:", ["Article 1:", "Article 2:", "Article 3:"]),
        ("decimalZero", "%1", ["01", "02", "03"]),
        ("upperLetter", "%1)", ["A)", "B)", "C)"]),
        ("upperRoman", "§ %1", ["§ I", "§ II", "§ III"]),
        ("ordinal", "%1", ["1st", "2nd", "3rd"]),
        ("ordinalText", "%1", ["First", "Second", "Third"]),
        ("cardinalText", "%1", ["One", "Two", "Three"]),
        ("chineseCounting", "第%1条", ["第一条", "第二条", "第三条"]),
        ("none", "%1", ["", "", ""]),
        ("none", "Note:", ["Note:", "Note:", "Note:"]),
        ("bullet", "\uf0b7", ["•", "•", "•"]),
        ("bullet", "\u2013", ["\u2013", "\u2013", "\u2013"]),
        ("bullet", "", ["", "", ""]),
        ("unheardOf", "%1", ["1", "2", "3"]),
    ],
)
def test_number_formats(form: str, text: str, labels_of_three: list[str]) -> None:
    assert labels(item(0) * 3, definition(1, level(0, text, form)) + num(1, 1)) == labels_of_three


def test_a_format_of_ones_own_stands_beside_a_usual_one() -> None:
    own = (
        '<mc:AlternateContent><mc:Choice Requires="w14"><w:numFmt w:val="custom" w:format="001, 002, 003, ..."/>'
        '</mc:Choice><mc:Fallback><w:numFmt w:val="decimal"/></mc:Fallback></mc:AlternateContent>'
    )
    levels = f'<w:lvl w:ilvl="0"><w:start w:val="9"/>{own}<w:lvlText w:val="%1"/></w:lvl>'
    assert labels(item(0) * 2, definition(1, levels) + num(1, 1)) == ["009", "010"]


@pytest.mark.parametrize(("suffix", "text"), [("tab", "1. x"), ("space", "1. x"), ("nothing", "1.x")])
def test_what_stands_after_the_number(suffix: str, text: str) -> None:
    one = definition(1, level(0, "%1.", more=f'<w:suff w:val="{suffix}"/>')) + num(1, 1)
    assert only_part("docx", docx(item(0), numbering=one)).text == text


def test_lists_of_one_definition_count_on_unless_one_starts_anew() -> None:
    anew = override(0, '<w:startOverride w:val="1"/>')
    lists = definition(1, level(0, "%1.", start=4)) + num(1, 1) + num(2, 1) + num(3, 1, anew)
    body = item(0) + item(0, of=2) + item(0, of=3) + item(0, of=3) + item(0) + item(0, of=3)
    assert labels(body, lists) == ["4.", "5.", "1.", "2.", "3.", "4."]


def test_a_list_may_have_levels_of_its_own() -> None:
    own = override(0, level(0, "%1)", "upperRoman", start=3))
    assert labels(item(0, of=2) * 2, definition(1, level(0, "%1.")) + num(2, 1, own)) == ["III)", "IV)"]


@pytest.mark.parametrize(
    ("restart", "last"),
    [("", "(i)"), ('<w:lvlRestart w:val="0"/>', "(ii)"), ('<w:lvlRestart w:val="1"/>', "(ii)")],
)
def test_when_a_level_starts_again(restart: str, last: str) -> None:
    levels = level(0, "%1"), level(1, "%1.%2"), level(2, "(%3)", "lowerRoman", restart)
    body = item(0) + item(1) + item(2) + item(1) + item(2)
    assert labels(body, definition(1, *levels) + num(1, 1)) == ["1", "1.1", "(i)", "1.2", last]


def test_a_level_that_was_left_out_counts_as_begun() -> None:
    assert labels(item(1) + item(1) + item(0) + item(1), CONTRACT) == ["1.1", "1.2", "2.", "2.1"]


def test_legal_numbers_are_digits_whatever_the_upper_level_is() -> None:
    levels = level(0, "Article %1", "upperRoman"), level(1, "%1.%2"), level(2, "%1.%2.%3", more="<w:isLgl/>")
    body = item(0) * 2 + item(1) + item(2)
    assert labels(body, definition(1, *levels) + num(1, 1)) == ["Article I", "Article II", "II.1", "2.1.1"]


def style(style_id: str, numbering: str = "", base: str = "", name: str = "") -> str:
    content = f'<w:name w:val="{name}"/>' if name else ""
    content += f'<w:basedOn w:val="{base}"/>' if base else ""
    content += f"<w:pPr><w:numPr>{numbering}</w:numPr></w:pPr>" if numbering else ""
    return f'<w:style w:type="paragraph" w:styleId="{style_id}">{content}</w:style>'


STYLES = "".join(
    [
        style("H1", '<w:numId w:val="1"/>', name="heading 1"),
        style("H2", '<w:ilvl w:val="5"/><w:numId w:val="1"/>', name="heading 2"),
        style("Sub", base="H2"),
        style("Third", '<w:ilvl w:val="2"/>', base="H1"),
        style("Plain", '<w:numId w:val="0"/>', base="H1"),
        style("Loop", base="Loop"),
    ]
)
LINKED = definition(
    3,
    level(0, "%1", more='<w:pStyle w:val="H1"/>'),
    level(1, "%1.%2", more='<w:pStyle w:val="H2"/>'),
    level(2, "%1.%2.%3"),
) + num(1, 3)


def test_numbers_come_from_styles_and_levels_from_their_links() -> None:
    body = (
        styled("H1") + styled("H2") + styled("Sub") + styled("Third") + styled("Plain") + styled("Loop") + styled("H1")
    )
    assert labels(body, LINKED, STYLES) == ["1", "1.1", "1.2", "1.2.1", "", "", "2"]


def test_a_paragraph_outdoes_its_style() -> None:
    none = '<w:numPr><w:numId w:val="0"/></w:numPr>'
    lower = '<w:numPr><w:ilvl w:val="1"/></w:numPr>'
    assert labels(styled("H1") + styled("H1", more=none) + styled("H1", more=lower), LINKED, STYLES) == ["1", "", "1.1"]


def test_definitions_may_leave_everything_to_a_style_of_lists() -> None:
    referring = '<w:abstractNum w:abstractNumId="1"><w:numStyleLink w:val="Legal"/></w:abstractNum>'
    meant = definition(2, '<w:styleLink w:val="Legal"/>', level(0, "§%1"))
    assert labels(item(0) + item(0, of=2), referring + meant + num(1, 1) + num(2, 2)) == ["§1", "§2"]


def test_deleted_and_hidden_paragraphs_are_not_counted_and_empty_ones_are() -> None:
    gone = item(0, "<w:del/>", more="<w:rPr><w:del/></w:rPr>")
    hidden = item(0, r("x", "<w:vanish/>"), more="<w:rPr><w:vanish/></w:rPr>")
    part = only_part("docx", docx(item(0) + gone + hidden + item(0, "") + item(0), numbering=CONTRACT))
    assert part.text == "1. x\n2.\n3. x"


def test_a_hidden_number_counts() -> None:
    hidden = definition(1, level(0, "%1.", more="<w:rPr><w:vanish/></w:rPr>"), level(1, "%1.%2")) + num(1, 1)
    assert labels(item(0) + item(1), hidden) == ["", "1.1"]


def test_numbers_go_on_in_tables() -> None:
    part = only_part("docx", docx(item(0) + table([item(0), item(0)]) + item(0), numbering=CONTRACT))
    assert part.text == "1. x\n2. x\t3. x\n4. x"
    assert [at(part, place) for place in part.places] == ["1. x", "2. x\t3. x", "3. x", "4. x"]


@pytest.mark.parametrize(
    "numbering",
    [
        "",
        num(1, 99),
        definition(1) + num(1, 1),
        definition(1, level(0, "%9%0%%1%")) + num(1, 1),
        definition(1, level(0, "%1", start=-5)) + num(1, 1),
        definition(1, level(0, "%1", "lowerLetter", start=999_999_999)) + num(1, 1),
        definition(1, level(0, "%1").replace('"1"', '"\u0661"')) + num(1, 1),
        definition(1, level(77, "%1")) + num(1, 1, override(-3, "")),
    ],
)
def test_odd_definitions_do_no_harm(numbering: str) -> None:
    text = only_part("docx", docx(item(0) + item(8) + item(99), numbering=numbering)).text
    assert [line[-1] for line in text.splitlines()] == ["x"] * 3
    assert len(text) < 50


def test_numerals() -> None:
    assert [roman(value) for value in (4, 1994, 4000, 0)] == ["iv", "mcmxciv", "4000", "0"]
    assert [letters(value) for value in (26, 27, 53, 10**9, -1)] == ["z", "aa", "aaa", "1000000000", "-1"]
    assert [letters_in_columns(value) for value in (1, 26, 27, 16_384)] == ["a", "z", "aa", "xfd"]
    assert [ordinal(value) for value in (11, 12, 21, 102)] == ["11th", "12th", "21st", "102nd"]
    assert [ordinal_word(value) for value in (5, 12, 20, 21, 40, 100)] == [
        *("Fifth", "Twelfth", "Twentieth", "Twenty-first", "Fortieth", "100th"),
    ]
    assert [NUMBER_FORMATS["chineseCounting"](value) for value in (10, 11, 20, 45)] == ["十", "十一", "二十", "四十五"]
    assert [NUMBER_FORMATS["decimalEnclosedCircle"](value) for value in (1, 20, 21)] == ["①", "⑳", "21"]
