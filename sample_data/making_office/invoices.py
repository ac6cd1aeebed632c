"""A sawmill's invoice and quote: one page each, with a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from making_office.pdf import Page, text_pdf

_LEFT, _RIGHT = 60, 535
_QUANTITY, _PRICE = 380, 455
_SELLER = (
    "Pellworth Timber Ltd",
    "The Old Sawmill, Station Road, Pellworth PW4 7DN",
    "sales@pellworth-timber.example  ·  VAT no. GB 000 4417 22",
)
_BUYER = ("Bramble Lane Studios Ltd", "12 Bramble Lane", "Wexcombe WX1 3QF")


@dataclass(frozen=True)
class _Item:
    name: str
    quantity: int
    unit: str
    price: Decimal

    @property
    def amount(self) -> Decimal:
        return self.quantity * self.price


@dataclass(frozen=True)
class _Bill:
    kind: str
    number: str
    facts: Sequence[str]
    items: Sequence[_Item]
    closing: Sequence[str]


def invoice() -> bytes:
    """Return the invoice as a PDF."""
    return _pdf(
        _Bill(
            kind="Invoice",
            number="PT-2026-0318",
            facts=(
                "Invoice date: 5 October 2026",
                "Payment due: 4 November 2026",
                "Your order: BLS-771 of 22 September 2026",
            ),
            items=(
                _Item("Oak boards, planed, 27 x 200 x 2400 mm", 36, "boards", Decimal("41.50")),
                _Item("Ash boards, sawn, 34 x 150 x 2000 mm", 24, "boards", Decimal("23.80")),
                _Item("Birch plywood, 18 x 1220 x 2440 mm", 15, "sheets", Decimal("68.00")),
                _Item("Cutting to list CL-9", 6, "hours", Decimal("44.00")),
                _Item("Delivery to Wexcombe", 1, "trip", Decimal("85.00")),
            ),
            closing=(
                "Please pay within 30 days to Pellworth Timber Ltd, sort code 00-00-00, account 00317724,",
                "and quote the invoice number. Interest of 8% a year is charged on late payments.",
                "Goods remain the property of Pellworth Timber Ltd until they are paid for in full.",
            ),
        )
    )


def quote() -> bytes:
    """Return the quote as a PDF."""
    return _pdf(
        _Bill(
            kind="Quote",
            number="Q-0932",
            facts=("Quote date: 19 October 2026", "Valid until: 30 November 2026", "Your enquiry of 16 October 2026"),
            items=(
                _Item("Oak shelving, oiled, 30 x 300 x 1800 mm", 20, "shelves", Decimal("62.00")),
                _Item("Steel brackets, black, 250 mm", 60, "pieces", Decimal("4.75")),
                _Item("Delivery to Wexcombe", 1, "trip", Decimal("85.00")),
            ),
            closing=("Delivery is possible three weeks after your order. A deposit of 25% is due with the order.",),
        )
    )


def _pdf(bill: _Bill) -> bytes:
    page = Page()
    _head(page, bill)
    below = _table(page, bill.items, 280)
    below = _totals(page, sum((item.amount for item in bill.items), Decimal(0)), below + 22)
    for index, line in enumerate(bill.closing):
        page.text(_LEFT, below + 46 + 14 * index, line)
    return text_pdf(f"{bill.kind} {bill.number}", [page])


def _head(page: Page, bill: _Bill) -> None:
    page.text(_LEFT, 70, _SELLER[0], font="F2", size=16)
    for index, line in enumerate(_SELLER[1:]):
        page.text(_LEFT, 88 + 13 * index, line, size=9)
    page.text(_LEFT, 150, f"{bill.kind} {bill.number}", font="F2", size=14)
    for index, line in enumerate(bill.facts):
        page.text(_LEFT, 172 + 14 * index, line)
    page.text(350, 150, "To", font="F2")
    for index, line in enumerate(_BUYER):
        page.text(350, 172 + 14 * index, line)


def _table(page: Page, items: Sequence[_Item], top: float) -> float:
    """Write the table, and return where its last row stands."""
    for x, title in ((_LEFT, "Item"), (_QUANTITY - 46, "Quantity"), (_PRICE - 22, "Price"), (_RIGHT - 36, "Amount")):
        page.text(x, top, title, font="F2", size=9)
    page.rule(_LEFT, top + 6, _RIGHT - _LEFT)
    for row, item in enumerate(items, 1):
        y = top + 4 + 18 * row
        page.text(_LEFT, y, item.name)
        page.amount(_QUANTITY - 40, y, str(item.quantity))
        page.text(_QUANTITY - 36, y, item.unit)
        page.amount(_PRICE, y, f"{item.price:,.2f}")
        page.amount(_RIGHT, y, f"{item.amount:,.2f}")
    page.rule(_LEFT, top + 12 + 18 * len(items), _RIGHT - _LEFT)
    return top + 4 + 18 * len(items)


def _totals(page: Page, net: Decimal, top: float) -> float:
    vat = (net * Decimal("0.20")).quantize(Decimal("0.01"))
    rows = (("Total without VAT", net, "F1"), ("VAT 20%", vat, "F1"), ("Total due in GBP", net + vat, "F2"))
    for index, (name, amount, font) in enumerate(rows):
        page.text(350, top + 8 + 16 * index, name, font=font)
        page.amount(_RIGHT, top + 8 + 16 * index, f"{amount:,.2f}", font=font)
    return top + 8 + 16 * (len(rows) - 1)
