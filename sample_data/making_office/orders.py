"""Thirty orders of a web shop, as CSV and as Parquet."""

import csv
import io
from collections.abc import Iterator
from contextlib import closing
from dataclasses import astuple, dataclass, fields
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb

_FIRST_DAY = date(2026, 9, 1)
_PRICES = {
    "Oak stool": Decimal("145.00"),
    "Ash bench": Decimal("320.00"),
    "Birch shelf": Decimal("89.50"),
    "Oak table": Decimal("1240.00"),
}


@dataclass(frozen=True)
class Order:
    """One row."""

    order_id: str
    ordered_on: date
    customer: str
    item: str
    quantity: int
    total_gbp: Decimal
    message: str
    """What the customer wrote with the order."""


def orders() -> Iterator[Order]:
    """Give the orders in the order in which they came in."""
    for index, (customer, item, quantity, message) in enumerate(_ORDERS):
        day = _FIRST_DAY + timedelta(days=index * 5 // 3)
        yield Order(f"W-{3001 + index}", day, customer, item, quantity, quantity * _PRICES[item], message)


def as_csv() -> bytes:
    """Return the orders as CSV with a head."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow([field.name for field in fields(Order)])
    writer.writerows(astuple(order) for order in orders())
    return target.getvalue().encode()


def write_parquet(path: Path) -> None:
    """Write the orders as Parquet. Another version of DuckDB may write other bytes for the same rows."""
    with closing(duckdb.connect(":memory:")) as memory:
        memory.execute(
            "CREATE TABLE orders (order_id VARCHAR, ordered_on DATE, customer VARCHAR, item VARCHAR, "
            "quantity INTEGER, total_gbp DECIMAL(10, 2), message VARCHAR)"
        )
        memory.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?)", [astuple(order) for order in orders()])
        memory.table("orders").write_parquet(str(path), compression="zstd")


_ORDERS = (
    ("Nell Ashdown", "Oak stool", 2, "Please deliver after 4 pm, the porter has the key to the yard."),
    ("Café Umbra", "Oak table", 3, "For our opening on 2 October. Can you carry them up to the first floor?"),
    ("J. Prior", "Birch shelf", 1, ""),
    ("Ravi Menon", "Ash bench", 1, "It is a present. Please leave the invoice out of the parcel and mail it to me."),
    ("Tilmouth Library", "Oak stool", 12, "Purchase order 8841. Invoice to the town, 30 days, as last time."),
    ("Greta Holm", "Birch shelf", 4, "The last two had dark knots, which I loved. More of these if you have them!"),
    ("Sam Okoro", "Oak table", 1, "Is the oil safe for children? Our twins chew on everything."),
    ("Wexcombe School", "Ash bench", 6, "Deliver on a school day before 8 am. No lorry fits through Mill Gate."),
    ("Nell Ashdown", "Oak stool", 1, "One more of what I ordered a week ago, in one delivery if you can."),
    ("P. Lindqvist", "Birch shelf", 2, "Could you cut them to 85 cm? I will gladly pay for the work."),
    ("Hotel Marram", "Ash bench", 4, "We need them by 25 September, otherwise please cancel the order."),
    ("Dora Eames", "Oak stool", 4, ""),
    ("Ilse Brandt", "Oak table", 1, "My floor slopes by about two centimetres. Are the feet adjustable?"),
    ("Tom Reeve", "Birch shelf", 6, "Please use my new address: 3 Weir Close, Tilmouth TM4 1LP."),
    ("Café Umbra", "Oak stool", 16, "These go with the tables. One stool last year came with a cracked leg."),
    ("Harbour Clinic", "Ash bench", 2, "They have to stand disinfectant. Which finish do you recommend?"),
    ("Ada Quill", "Birch shelf", 1, "First order here, a friend showed me hers. Thank you!"),
    ("M. Sorensen", "Oak table", 1, "I paid twice by mistake, on 27 September. Please return one payment."),
    ("Ravi Menon", "Ash bench", 1, "Same bench as before, now for myself. Normal invoice this time."),
    ("Uma Castell", "Oak stool", 2, "Please ring before you come: 0000 555 0119. The bell is broken."),
    ("Tilmouth Library", "Birch shelf", 10, "Purchase order 8907. Partial deliveries are fine."),
    ("George Penhale", "Oak table", 1, "You promised 10% off after the late delivery in May."),
    ("Lin Zhao", "Birch shelf", 3, "Do you ship to the islands, and what would that cost?"),
    ("Dora Eames", "Oak stool", 4, "I did not get the last four. Tracking has stood still since 24 September."),
    ("Studio Farrow", "Ash bench", 2, "Unoiled, please. We paint them ourselves."),
    ("Bea Tolland", "Oak stool", 1, "Is the wood from managed forests? I need the certificate for a grant."),
    ("Wexcombe School", "Oak stool", 30, "For the craft room; 45 cm high, not 48. Budget is £4,400 in all."),
    ("Yusuf Adair", "Birch shelf", 2, "Cancel my order if the price has gone up again, please."),
    ("Hotel Marram", "Ash bench", 4, "The benches came in time and are lovely. Four more, no hurry."),
    ("J. Prior", "Birch shelf", 1, "The first shelf has a scratch along the front. I would like to swap it."),
)
