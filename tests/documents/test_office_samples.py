# ruff: noqa: RUF001 - office programs write such signs
"""The documents of a small workshop in sample_data/office: what is read of each, and that their script makes them."""

import hashlib
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from types import ModuleType

import duckdb
import pytest
from pypdfium2 import PdfDocument

from batchrun.document import Document, Place, Unreadable
from batchrun.documents.files import FileSource

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "sample_data"

Read = Callable[[str], Document]


@pytest.fixture(scope="module")
def found() -> Mapping[str, Document | Unreadable]:
    """Everything in the folder, by the name of the file and of its part."""
    source = FileSource(root=ROOT, include=["sample_data/office/*"])
    return {PurePosixPath(one.source).name: one for one in source.scan()}


@pytest.fixture
def read(found: Mapping[str, Document | Unreadable]) -> Read:
    """Gives a document that could be read."""

    def by_name(name: str) -> Document:
        document = found[name]
        assert isinstance(document, Document), document
        return document

    return by_name


def line_at(document: Document, place: Place) -> str:
    """The line at which a place begins."""
    return document.text[place.start :].partition("\n")[0]


def test_which_documents_there_are(found: Mapping[str, Document | Unreadable]) -> None:
    assert list(found) == [
        "band-saw-claim.mbox#1",
        "band-saw-claim.mbox#2",
        "band-saw-claim.mbox#3",
        "board-report.pptx",
        "budget-2027.xlsx#Budget 2027",
        "budget-2027.xlsx#Suppliers",
        "claim-accepted.rtf",
        "delivery-note-scan.pdf",
        "invoice-pellworth.pdf",
        "lease-unit-7.pdf",
        "memo-finishing-room.odt",
        "quote-shelving.eml",
        "quote-shelving.eml#quote-0932.pdf",
        "safety-notice-kt-40.html",
        "services-agreement.docx",
    ]
    formats = {one.reader.partition("/")[0] for one in found.values() if isinstance(one, Document)}
    assert formats == {"mbox", "pptx", "sheets", "rtf", "pdf", "odt", "eml", "html", "docx"}


# --- PDF


def test_the_invoice(read: Read) -> None:
    invoice = read("invoice-pellworth.pdf")
    assert invoice.text == (
        """\
Pellworth Timber Ltd
The Old Sawmill, Station Road, Pellworth PW4 7DN
sales@pellworth-timber.example · VAT no. GB 000 4417 22
Invoice PT-2026-0318
Invoice date: 5 October 2026
Payment due: 4 November 2026
Your order: BLS-771 of 22 September 2026
To
Bramble Lane Studios Ltd
12 Bramble Lane
Wexcombe WX1 3QF
Item Quantity Price Amount
Oak boards, planed, 27 x 200 x 2400 mm 36 boards 41.50 1,494.00
Ash boards, sawn, 34 x 150 x 2000 mm 24 boards 23.80 571.20
Birch plywood, 18 x 1220 x 2440 mm 15 sheets 68.00 1,020.00
Cutting to list CL-9 6 hours 44.00 264.00
Delivery to Wexcombe 1 trip 85.00 85.00
Total without VAT 3,434.20
VAT 20% 686.84
Total due in GBP 4,121.04
Please pay within 30 days to Pellworth Timber Ltd, sort code 00-00-00, account 00317724,
and quote the invoice number. Interest of 8% a year is charged on late payments.
Goods remain the property of Pellworth Timber Ltd until they are paid for in full."""
    )
    assert (invoice.pages, invoice.places) == (1, (Place("page", "1", 0),))


def test_the_lease_goes_on_within_a_word_on_its_second_page(read: Read) -> None:
    lease = read("lease-unit-7.pdf")
    assert lease.pages == 3
    assert [place.name for place in lease.places] == ["1", "2", "3"]
    assert [line_at(lease, place) for place in lease.places] == [
        "LEASE OF UNIT 7, CANAL YARD, WEXCOMBE",
        "tenance that is due, by 30 April. The Tenant may look at the receipts.",
        "11. The end of the term",
    ]
    assert "with the plan of the main-tenance that is due, by 30 April." in lease.text
    assert lease.text.count("\n3.1 The rent is £38,400 a year without VAT.") == 1
    assert lease.text.endswith("\nPage 3 of 3")


def test_the_scan_has_no_text_and_shows_some(found: Mapping[str, Document | Unreadable]) -> None:
    scan = found["delivery-note-scan.pdf"]
    assert isinstance(scan, Unreadable)
    assert scan.reason.startswith("a PDF without a text layer, as scans are")
    with PdfDocument(SAMPLES / "office" / "delivery-note-scan.pdf") as pdf:
        dots = bytes(pdf[0].render(grayscale=True).buffer)
    assert 0.005 < sum(dot < 128 for dot in dots) / len(dots) < 0.1


# --- office files


def test_the_agreement_has_its_clause_numbers_and_the_text_as_it_was_changed(read: Read) -> None:
    agreement = read("services-agreement.docx")
    assert agreement.text == (
        """\
Services agreement QD-2026-14 · Quenby Data Services Ltd and Bramble Lane Studios Ltd
Services Agreement
This agreement is made on 1 June 2026 between Quenby Data Services Ltd, of 88 Harbour Street, Tilmouth TM2 5RB \
(the “Supplier”), and Bramble Lane Studios Ltd, of 12 Bramble Lane, Wexcombe WX1 3QF (the “Customer”).
1. Services
1.1 The Supplier runs the Customer’s web shop and order system, and in particular
(a) hosts both on servers in the United Kingdom;
(b) makes a backup every night, and keeps each backup for 30 days;
(c) develops new features as agreed from month to month.
1.2 The Supplier begins to work on a fault within four hours on any working day.[1]
2. Fees
2.1 The Customer pays £2,530 a month without VAT, made up as follows:
Service	Hours a month	Fee in GBP
Hosting and backups	–	420.00
Support	10	750.00
Development	16	1,360.00
2.2 Invoices are sent on the first day of a month and payable within 21 days.
3. Confidentiality
3.1 Each party keeps the other’s business secrets for three years after the end of this agreement.
3.2 Clause 3.1 does not hold for information that
(a) is public without a fault of the party that received it; or
(b) a court or an authority orders to be disclosed.
4. Liability
4.1 The Supplier’s liability in any one year is limited to £30,000. Nothing limits liability for fraud, or for \
death or injury caused by negligence.
5. Term
5.1 This agreement begins on 1 July 2026 and runs for 24 months. It then goes on from month to month.
5.2 After the first 24 months, either party may end this agreement by 60 days’ written notice.
6. Law
6.1 This agreement is governed by the law of England and Wales.
Signed for Quenby Data Services Ltd: Ines Quenby, managing director
Signed for Bramble Lane Studios Ltd: Tobias Renwick, director
[1] Working days are Monday to Friday, without public holidays in England."""
    )
    places = [place for place in agreement.places if place.kind == "heading"]
    numbers = [place.name.split()[0] for place in places]
    assert " ".join(numbers) == "1. 1.1 1.2 2. 2.1 2.2 3. 3.1 3.2 4. 4.1 5. 5.1 5.2 6. 6.1"
    assert [line_at(agreement, place).split()[0] for place in places] == numbers
    assert agreement.note == "tracked changes read as if accepted"


@pytest.mark.parametrize("deleted", ["eight", "2,350", "20,000", "Either"])
def test_what_was_deleted_from_the_agreement_is_in_the_file_alone(read: Read, deleted: str) -> None:
    data = (SAMPLES / "office" / "services-agreement.docx").read_bytes()
    tracked = "E" if deleted == "Either" else deleted
    assert f'<w:delText xml:space="preserve">{tracked}</w:delText>'.encode() in data
    assert deleted not in read("services-agreement.docx").text


def test_the_slides(read: Read) -> None:
    slides = read("board-report.pptx")
    assert slides.text == (
        """\
Third quarter 2026
Bramble Lane Studios Ltd
Report to the board, 20 October 2026
Tobias Renwick

Where we stand
Sales: £142,300, up 9% on the third quarter of 2025
Orders in hand: £88,600
Average time from order to delivery: 23 days (goal: 21)
Claims: 4, all settled
Notes:
Two large kitchens were delivered late because of the move to Unit 7.

Decisions asked for
Buy a second band saw for £2,780
Hire one joiner from 4 January 2027
Renew the insurance with Dunmarrow Mutual"""
    )
    assert slides.pages == 3
    assert [(place.kind, place.name, line_at(slides, place)) for place in slides.places] == [
        ("slide", "1", "Third quarter 2026"),
        ("slide", "2", "Where we stand"),
        ("slide", "3", "Decisions asked for"),
    ]


def test_the_memo(read: Read) -> None:
    memo = read("memo-finishing-room.odt")
    assert memo.text == (
        """\
Memo
To	All staff
From	Amara Vint, workshop manager
Date	12 October 2026
Subject	Moving the finishing room to Unit 7
From Monday 26 October 2026 we finish and pack everything in Unit 7, Canal Yard.
1. The finishing room at Bramble Lane closes on Friday 23 October 2026 at 16:00.
2. Please label your unfinished pieces with the customer’s name and the order number by Thursday evening.
3. Paint, oil and solvents go into the steel cabinet; the lease allows 200 litres of them in all.
The removal costs £1,480 and is done by Harker Removals Ltd. Questions? Extension 14."""
    )
    assert memo.places[0] == Place("heading", "Memo", 0)


def test_each_sheet_of_the_budget_is_a_document(read: Read) -> None:
    budget, suppliers = read("budget-2027.xlsx#Budget 2027"), read("budget-2027.xlsx#Suppliers")
    assert budget.text == (
        """\
Bramble Lane Studios Ltd: budget for 2027
Approved on	2026-11-24	by	Tobias Renwick

Cost in GBP	2026 expected	2027 planned	Change
Rent, Unit 7	28800	38400	9600
Timber	61250	64000	2750
Machines	12900	7500	-5400
Web shop and support	15180	30360	15180
Insurance	4310	4525	215
Wages	148700	156100	7400
Total	271140	300885	29745"""
    )
    assert suppliers.text == (
        """\
Supplier	What for	Contract until	Paid in 2026, GBP
Ostrey Property Holdings LLP	Rent	2031-03-24	28800
Pellworth Timber Ltd	Timber		57916.04
Kestwick Tools Ltd	Machines		11804.5
Quenby Data Services Ltd	Web shop	2028-06-30	15180
Dunmarrow Mutual	Insurance	2026-12-31	4310"""
    )
    assert [*budget.places, *suppliers.places] == [Place("sheet", "Budget 2027", 0), Place("sheet", "Suppliers", 0)]


# --- mail, letters, pages


def test_the_mail_is_its_plain_text_and_its_attachment_another_document(read: Read) -> None:
    assert read("quote-shelving.eml").text == (
        """\
From: Lucas Pell <lucas.pell@pellworth-timber.example>
To: Tobias Renwick <tobias@bramblelane.example>
Cc: Amara Vint <amara@bramblelane.example>
Subject: Quote Q-0932 for your café shelving
Date: Mon, 19 Oct 2026 14:32:05 +0100

Hello Tobias,

attached is our quote Q-0932 for the oak shelving of the café at Tilmouth: £1,932.00 with VAT and delivery. \
It is valid until 30 November 2026.

The boards are dry and oiled, so we can deliver three weeks after your order. We need a deposit of 25%.

Kind regards
Lucas Pell
Pellworth Timber Ltd
"""
    )
    attached = read("quote-shelving.eml#quote-0932.pdf")
    assert attached.source == "sample_data/office/quote-shelving.eml#quote-0932.pdf"
    assert attached.text.splitlines()[3:7] == [
        "Quote Q-0932",
        "Quote date: 19 October 2026",
        "Valid until: 30 November 2026",
        "Your enquiry of 16 October 2026",
    ]
    assert "\nTotal due in GBP 1,932.00\n" in attached.text
    assert attached.pages == 1


def test_each_mail_of_the_archive_is_a_document(read: Read) -> None:
    first, second, third = (read(f"band-saw-claim.mbox#{number}") for number in (1, 2, 3))
    assert first.text == (
        """\
From: Amara Vint <amara@bramblelane.example>
To: service@kestwick-tools.example
Subject: Band saw KT-40, serial 4471-0093
Date: Wed, 14 Oct 2026 09:12:40 +0100

Hello,

the guard of our new KT-40 does not close fully. The saw was delivered on 14
September 2026. Your notice of 9 October speaks of guards from that month.

From what I see, one spring is missing. Can you send a technician next week?

Amara Vint
Bramble Lane Studios Ltd
"""
    )
    assert "\n\nDear Ms Vint,\n\nplease do not use the saw. Joan Teller will come on Tuesday" in second.text
    assert third.text.endswith("credit us with the hire of a\nsaw: £180, receipt to follow.\n\nAmara\n")
    assert all("Message-ID" not in one.text for one in (first, second, third))


def test_the_letter(read: Read) -> None:
    assert read("claim-accepted.rtf").text == (
        """\
Dunmarrow Mutual
1 Exchange Square, Tilmouth TM1 4AA
6 November 2026
Bramble Lane Studios Ltd
12 Bramble Lane
Wexcombe WX1 3QF
Policy DM-558120: your claim of 19 October 2026
Dear Mr Renwick
thank you for the report on the water damage of 17 October 2026 in Unit 7, Canal Yard.
Our surveyor, Ms Odile Farrant, found the damage to be covered. We have accepted your claim and will pay £3,265.50, \
which is the loss of £3,515.50 less the excess of £250.00, to your account within ten working days.
The policy ends on 31 December 2026. If you renew it, please tell us how much timber you store: stock above £40,000 \
needs a separate cover.
Yours sincerely
Per Aksel Lindē
Claims department – claims@dunmarrow.example"""
    )


def test_the_notice_without_what_the_page_hides(read: Read) -> None:
    notice = read("safety-notice-kt-40.html")
    assert [place.name for place in notice.places] == [
        "Safety notice: band saw KT\u201140",
        "Which saws are affected",
        "What to do",
    ]
    assert (
        "\nSerial numbers\tSold\tNumber of saws\n"
        "4471-0001 to 4471-0480\tAugust and September 2026\t480\n"
        "4472-0001 to 4472-0115\tfrom 1 October 2026\t115\n"
    ) in notice.text
    assert "Published by Kestwick Tools Ltd on 9 October 2026. Notice KSN\u20112026\u201107." in notice.text
    assert not [hidden for hidden in ("window.visits", "sans-serif", "Draft 3") if hidden in notice.text]


# --- the script


@pytest.fixture
def make_office(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script that makes the samples."""
    monkeypatch.syspath_prepend(str(SAMPLES))
    return importlib.import_module("make_office")


def test_what_is_committed_is_what_the_script_makes(make_office: ModuleType, tmp_path: Path) -> None:
    make_office.write(tmp_path)
    made = [path for path in sorted(tmp_path.rglob("*.*")) if path.name != "orders.parquet"]
    names = [str(path.relative_to(tmp_path)) for path in made]
    assert names == sorted(make_office.FILES)
    assert {path.name for path in (SAMPLES / "office").iterdir()} == {path.name for path in made} - {"orders.csv"}
    changed = [name for name in names if _sha(SAMPLES / name) != _sha(tmp_path / name)]
    assert changed == [], "run `python sample_data/make_office.py`"
    assert _orders(SAMPLES / "orders.parquet") == _orders(tmp_path / "orders.parquet")


def test_the_samples_are_small() -> None:
    files = [*(SAMPLES / "office").iterdir(), *SAMPLES.glob("orders.*")]
    assert len(files) == 13
    assert sum(path.stat().st_size for path in files) < 300_000


def test_both_files_of_orders_hold_the_same_thirty() -> None:
    orders = _orders(SAMPLES / "orders.parquet")
    assert len(orders) == len(set(orders)) == 30
    assert _orders(SAMPLES / "orders.csv") == orders
    assert [order[0] for order in orders if not order[-1]] == ["W-3003", "W-3012"]


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _orders(path: Path) -> list[tuple[object, ...]]:
    """The rows of a CSV or Parquet file, in the types of the Parquet file."""
    with duckdb.connect(":memory:") as memory:
        return memory.execute(
            "SELECT order_id, ordered_on::DATE, customer, item, quantity::INTEGER, total_gbp::DECIMAL(10, 2), "
            f"coalesce(message, '') FROM '{path}'"
        ).fetchall()
