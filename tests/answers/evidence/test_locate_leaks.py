"""Every way in which a quote that is not true was once believed, or a true one was not found."""

import time

import pytest

from batchrun.answers.evidence.index import DocumentIndex
from batchrun.answers.evidence.locate import MAX_QUOTE, locate
from batchrun.answers.evidence.located import MISSING, NO_TEXT, Located
from batchrun.document import Place

PAGES = (
    """Meridian Supply Agreement - Confidential
This Agreement is made as of the 5th day of January, 2012 between Patterson Holdings, Inc. and Beta LLC.
The Receiving Party shall not disclose the Confidential Information to any third party without the prior
written consent of the Disclosing Party, including its affiliates. Consent may be unreasonably withheld
by theParty in its own discretion. This is a non-exclusive license granted under the terms hereof.
The Buyer shall pay $1,500.50 within thirty (30) days after receipt. A rate of 5.75% applies to
7,517,549 shares of common stock. Section 1.10 survives termination. Losses of -5 percent are borne
Page 1 of 3""",
    """Meridian Supply Agreement - Confidential
by the Seller alone and by nobody else. The tempe\ufffe"""
    + """rature was 5% above the agreed level of the plant.
The Supplier shall be responsible for all damage upon written notice of the affected customer. The goods
weigh 1.5 tons and are sold at 2½ times the price of 12 units in the year before. It is not able to be
assigned. Invoices are due in twenty-one (21) days. Fees are due in twenty-one days, or on 31/12/2024. This Sec-
tion ends. The office co\u00adöpe\u00ad
rates. Any ﬁnal eﬀort is “reasonable” \u2013 nothing else. The last sentence of this page goes
Page 2 of 3""",
    """Meridian Supply Agreement - Confidential
on over to the third page of the document. 本協議受中華人民共和國法律管轄並據其解釋雙方同意仲裁解決爭議. Not all
claims are barred. The cap is 10² units. The term is 24 months. The term is 24 months.
Page 3 of 3""",
)
TEXT = "\n\n".join(PAGES)
PLACES = tuple(Place("page", str(number), TEXT.index(page)) for number, page in enumerate(PAGES, 1))
INDEX = DocumentIndex(TEXT, (*PLACES, Place("heading", "Terms", 0)))


def _kinds(located: Located) -> list[str]:
    return [difference.kind for difference in located.differences]


@pytest.mark.parametrize(
    "quote",
    [
        pytest.param("The Buyer shall pay $150050 within thirty (30) days", id="separators lost"),
        pytest.param("The Buyer shall pay $1,500,50 within thirty (30) days", id="a point as a comma"),
        pytest.param("The Buyer shall pay €1,500.50 within thirty (30) days", id="currency"),
        pytest.param("The Buyer shall pay 1,500.50 within thirty (30) days", id="currency lost"),
        pytest.param("The Buyer shall pay $1,500.50 within thirty (60) days", id="number in brackets"),
        pytest.param("The Buyer shall pay $1,500.50 within sixty (30) days", id="number in words"),
        pytest.param("The Buyer shall pay $1,500.50 within days after receipt", id="number left out"),
        pytest.param("The Buyer shall pay $1,500.50 after receipt", id="number left out with words"),
        pytest.param("The Seller shall pay $1,500.50 within thirty (30) days", id="role at the edge"),
        pytest.param("goods weigh 1,5 tons and are sold at", id="a comma as a point"),
        pytest.param("goods weigh 15 tons and are sold at", id="a point lost"),
        pytest.param("was 5 above the agreed level of the plant", id="percent lost"),
        pytest.param("was 5% and above the agreed level of the plant", id="a word beside a number"),
        pytest.param("was 5% not above the agreed level of the plant", id="negation put in"),
        pytest.param("Losses of 5 percent are borne by the Seller alone", id="sign lost"),
        pytest.param("sold at 212 times the price of 12 units", id="a half as digits"),
        pytest.param("the price of ½ units in the year before", id="digits as a half alone"),
        pytest.param("are sold at 2½ times the price of 1½ units", id="digits as a half"),
        pytest.param("Not all claims are barred. The cap is 102 units", id="a power as digits"),
        pytest.param("Section 1.1 survives termination. Losses of -5 percent", id="section 1.10 is not 1.1"),
        pytest.param("after receipt. A rate of 5", id="number cut at the end"),
        pytest.param("75% applies to 7,517,549 shares of common stock", id="number cut at the beginning"),
        pytest.param("one days, or on 31/12/2024. This Section", id="number in words cut"),
        pytest.param("A rate of 5.75 applies to 7,517,549 shares", id="percent lost in the middle"),
        pytest.param("reasonably withheld by the Party in its own discretion", id="begins inside a word"),
        pytest.param("license granted under the term", id="ends inside a word"),
        pytest.param("of the Disclosing Party, excluding its affiliates. Consent may", id="including is not excluding"),
        pytest.param("2012 between Pattersen Holdings, Inc. and Beta LLC", id="a letter of a name"),
        pytest.param("The Receiving Party shall not discuss the Confidential Information", id="a like word"),
        pytest.param("The Receiving Party shall disclose the Confidential Information", id="negation left out"),
        pytest.param(
            "The Receiving Party shall … disclose the Confidential Information", id="ellipsis over a negation"
        ),
        pytest.param("The Disclosing Party shall not disclose the Confidential Information", id="role"),
        pytest.param("The Receiving Party may not disclose the Confidential Information", id="modal"),
        pytest.param("between Patterson Holdings, Inc. or Beta LLC", id="and is not or"),
        pytest.param("made as of the 6th day of January, 2012 between Patterson", id="day"),
        pytest.param("made as of February 5, 2012 between Patterson Holdings", id="month"),
        pytest.param("days, or on 31/12/2025. This Section ends", id="year"),
        pytest.param("It is no table to be assigned. Invoices are due", id="other borders, same letters"),
        pytest.param("percent are borne by the Buyer alone and by nobody else", id="changed over the page"),
        pytest.param("percent are borne on over to the third page", id="splice over pages"),
        pytest.param("The Supplier be for damage upon notice of the customer", id="too many words left out"),
        pytest.param("Party disclose … third party … written consent … Buyer pay", id="short pieces"),
        pytest.param("The Buyer shall pay … The Receiving Party shall not disclose", id="pieces in the other order"),
        pytest.param("This Agreement is made … on over to the third page", id="pieces far apart"),
        pytest.param("shall pay $1.500.50 … A rate of 5.75% applies", id="number changed in a piece"),
    ],
)
def test_a_quote_that_the_document_does_not_have_is_not_believed(quote: str) -> None:
    located = locate(INDEX, quote)
    assert located.status in ("differs", "missing")
    assert not located.believed


@pytest.mark.parametrize(
    ("quote", "status"),
    [
        pytest.param("WITHOUT THE PRIOR   written\n\nconsent of the disclosing party", "exact", id="space and case"),
        pytest.param('Any final effort is "reasonable" - nothing else', "exact", id="ligatures and quotes"),
        pytest.param("“The Buyer shall pay $1,500.50 within thirty (30) days …”", "exact", id="in quotation marks"),
        pytest.param("The Buyer shall pay $ 1,500.50 within thirty ( 30 ) days", "exact", id="spaces at a currency"),
        pytest.param("The Buyershall pay $1,500.50 withinthirty (30) days", "exact", id="spaces lost"),
        pytest.param("unreasonably withheld by the Party in its own", "exact", id="spaces lost in the document"),
        pytest.param("The temperature was 5% above the agreed level", "exact", id="U+FFFE"),
        pytest.param("This Section ends. The office coöperates. Any", "exact", id="hyphens at line ends"),
        pytest.param("This Section ends. The office coo\u0308perates. Any", "exact", id="accents apart"),
        pytest.param("Losses of \u22125 percent are borne by the Seller alone", "exact", id="page break"),
        pytest.param("of this page goes on over to the third page", "exact", id="page break again"),
        pytest.param(
            "Meridian Supply Agreement - Confidential by the Seller alone", "exact", id="with the running line"
        ),
        pytest.param("本協議受中華人民共和國法律管轄並據其解釋雙方同意仲裁解決爭議", "exact", id="Chinese"),
        pytest.param("shall pay $1,500.50 within 30 days after receipt", "close", id="without the number in words"),
        pytest.param("shall pay 1,500.50 dollars within thirty days", "close", id="a currency in words"),
        pytest.param("A rate of 5.75 percent applies to 7.517.549 shares", "close", id="percent in words"),
        pytest.param("is made as of January 5, 2012 between Patterson Holdings", "close", id="a date in another form"),
        pytest.param("Fees are due in 21 days, or on December 31, 2024", "close", id="a date in digits"),
        pytest.param("without the prior consent of the Disclosing Party", "close", id="a word left out"),
        pytest.param("shall be responsible for all of the damage upon written notice", "close", id="an article put in"),
        pytest.param(
            "The Receiving Party shall not disclose … without the prior written consent", "close", id="ellipsis"
        ),
        pytest.param("The Supplier shall be [...] upon written notice", "close", id="ellipsis in brackets"),
    ],
)
def test_a_true_quote_is_believed(quote: str, status: str) -> None:
    located = locate(INDEX, quote)
    assert (located.status, located.believed, located.places) == (status, True, 1)


@pytest.mark.parametrize(
    ("quote", "kinds"),
    [
        ("The Buyer shall pay €1,500.50 within thirty (30) days", ["replaced"]),
        ("The Receiving Party shall disclose the Confidential Information", ["omitted"]),
        ("was 5% not above the agreed level of the plant", ["added"]),
        ("shall be responsible for all the damage upon written notice", ["filler"]),
        ("shall pay $1,500.50 within 30 days after receipt", ["format"]),
        ("The Buyershall pay $1,500.50 within 30 days after receipt", ["format", "join"]),
        ("This Agreement is made … and Beta LLC. The Receiving Party", ["ellipsis"]),
    ],
)
def test_each_difference_has_a_kind(quote: str, kinds: list[str]) -> None:
    assert _kinds(locate(INDEX, quote)) == kinds


def test_the_source_speaks_and_not_the_model() -> None:
    located = locate(INDEX, "losses of -5 PERCENT are borne by the seller")
    assert located.text == "Losses of -5 percent are borne by the Seller"
    assert located.pages == (1, 2)
    assert located.place == "heading Terms"
    ((begin, end),) = located.spans
    assert TEXT[begin:end].startswith("Losses of -5")
    assert TEXT[begin:end].endswith("by the Seller")


def test_each_piece_of_a_quote_has_a_span() -> None:
    located = locate(INDEX, "The Receiving Party shall not disclose … without the prior written consent")
    assert [" ".join(TEXT[begin:end].split()) for begin, end in located.spans] == [
        "The Receiving Party shall not disclose",
        "without the prior written consent",
    ]
    assert located.text == "The Receiving Party shall not disclose … without the prior\nwritten consent"


def test_a_quote_of_which_a_piece_stands_is_placed() -> None:
    located = locate(INDEX, "and so on for ever … The Supplier shall be responsible for all damage … the end")
    assert (located.status, located.text) == ("differs", "The Supplier shall be responsible for all damage")
    assert [difference.quote for difference in located.differences] == ["and so on for ever", "the end"]


@pytest.mark.parametrize(
    ("quote", "is_cut"),
    [
        ("exclusive license granted under the terms hereof", True),
        ("disclose the Confidential Information to any third party", True),
        ("the Confidential Information to any third party", True),
        ("the Confidential Information to any third", False),
        ("all claims are barred. The cap is 10² units", True),
        ("The term is 24 months", False),
        ("of the document. 本協議受中華人民共和國法律管轄並據其解釋雙方同意仲裁解決爭議", False),
        ("the Confidential Information to any third … consent of the Disclosing Party", False),
    ],
)
def test_a_negation_at_the_edge_of_a_quote_is_told(quote: str, is_cut: bool) -> None:
    assert locate(INDEX, quote).cut is is_cut


def test_a_short_quote_proves_nothing_unless_it_stands_once() -> None:
    text = "The term is 24 months.\nThe fee is 5 euros. The term is 24 months."
    index = DocumentIndex(text, (Place("page", "7", 0), Place("page", "8", text.index("The fee"))))
    twice, once = locate(index, "24 months"), locate(index, "5 euros")
    assert (twice.status, twice.weak, twice.places, twice.believed) == ("exact", True, 2, False)
    assert (once.status, once.weak, once.places, once.believed) == ("exact", True, 1, True)
    hinted = locate(index, "24 months", page=8)
    assert (hinted.pages, hinted.places, hinted.believed) == ((8,), 2, True)
    assert locate(index, "24 months", near=[(text.index("The fee"), text.index("euros"))]).pages == (7,)
    assert locate(index, "24 months", near=[(len(text) - 1, len(text))]).pages == (8,)
    assert locate(index, "25 months") == MISSING
    assert locate(index, "6 euros") == MISSING
    assert not locate(index, "$24 months").believed


def test_a_capital_inside_a_name_is_no_lost_space() -> None:
    index = DocumentIndex("The fee is paid to McDowell by theParty. The fee is low.")
    assert locate(index, "Dowell by the Party. The fee is low").status == "differs"
    assert locate(index, "The fee is paid to Mc").status != "exact"
    assert locate(index, "Party. The fee is low").status == "exact"


def test_a_hint_only_chooses_between_places() -> None:
    assert locate(INDEX, "The Buyer shall pay $1,500.50 within thirty (30) days", page=3).pages == (1,)
    assert not locate(INDEX, "The Buyer shall pay $1,400.50 within thirty (30) days", page=1).believed


def test_a_quote_over_many_places_is_found_on_the_hinted_page() -> None:
    rows = [f"Row of {number} units with nothing else.\nThe same line in each page of all." for number in range(300)]
    text = "\n".join(rows)
    index = DocumentIndex(text, tuple(Place("page", str(at), text.index(row)) for at, row in enumerate(rows, 1)))
    located = locate(index, "The same line in each page of all", page=250)
    assert (located.pages, located.places) == ((250,), 300)


def test_a_document_without_text_never_reads_as_missing() -> None:
    pages = (Place("page", "1", 0), Place("page", "2", 24))
    assert locate(DocumentIndex(""), "anything at all") == NO_TEXT
    assert locate(DocumentIndex(" \n-- \n"), "anything at all") == NO_TEXT
    assert locate(DocumentIndex("The first page has text.\n", pages), "The second is a picture", page=2) == NO_TEXT
    assert locate(DocumentIndex("The first page has text.\n", pages), "The second is a picture", page=1) == MISSING
    assert not NO_TEXT.believed


def test_only_running_lines_may_be_left_out_at_a_page_break() -> None:
    first, second = (
        "A head of its own\nThe fee is paid each\nmonth in advance by",
        "Another head\nthe tenant, who may object.",
    )
    text = f"{first}\n\n{second}"
    index = DocumentIndex(text, (Place("page", "1", 0), Place("page", "2", len(first) + 2)))
    assert locate(index, "The fee is paid each month in advance by the tenant").status == "differs"


def test_a_line_in_small_letters_is_no_running_line() -> None:
    page = "Lease\nThe fee is paid\nexcept where this is\nwaived by the tenant"
    text = f"{page}\n\n{page}"
    index = DocumentIndex(text, (Place("page", "1", 0), Place("page", "2", len(page) + 2)))
    assert locate(index, "The fee is paid waived by the tenant").status in ("differs", "missing")


@pytest.mark.parametrize("quote", ["", " \n", "…", "“”", "-- ... --", "\u200b"])
def test_a_quote_without_words_is_missing(quote: str) -> None:
    assert locate(INDEX, quote) == MISSING


def test_a_long_quote_is_sought_word_for_word() -> None:
    text = " ".join(f"word{number}" for number in range(1_000))
    index = DocumentIndex(text)
    assert locate(index, text).status == "exact"
    assert locate(index, text.replace("word500 ", "")).status == "missing"
    assert locate(index, "a" * (MAX_QUOTE + 1)) == MISSING


HOSTILE = {
    "one word": "a" * 1_000_000,
    "letters": "a " * 500_000,
    "capitals": "aA" * 500_000,
    "hyphens": "a-\n" * 333_000,
    "accents": "a" + "\u0301\u0323" * 500_000,
    "points": ". " * 500_000 + "end of it",
    "digits": "1," * 500_000,
    "one line": "the same line of words and 5 figures\n" * 27_000,
    "spaces": "a" + " " * 1_000_000 + "b",
    "number words": "hundred and " * 83_000,
    "brackets": "two (" * 200_000,
}
SOUGHT = (
    "a a a a a a a a a b",
    "aA" * 500,
    "the same line of words and 6 figures",
    "1,1,1,1,1,2",
    "word … word … word",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_no_document_takes_long(name: str) -> None:
    begin = time.process_time()
    index = DocumentIndex(HOSTILE[name])
    for quote in SOUGHT:
        locate(index, quote)
    for quote in (HOSTILE[name][:2_000], HOSTILE[name][:MAX_QUOTE]):
        locate(index, quote)
    assert time.process_time() - begin < 20  # a quadratic step takes minutes
