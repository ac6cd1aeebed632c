# ruff: noqa: INP001 - a script beside its data, no package
"""Write sample_data/office and the two files of orders: what a small workshop has in its folders.

Run it with `python sample_data/make_office.py [FOLDER]`; the same files come out every time.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from making_office import (
    invoices,
    lease,
    letter,
    mails,
    memo,
    notice,
    orders,
    scan,
    service_agreement,
    slides,
    workbook,
)

FILES: Mapping[str, Callable[[], bytes]] = {
    "office/band-saw-claim.mbox": mails.archive,
    "office/board-report.pptx": slides.make,
    "office/budget-2027.xlsx": workbook.make,
    "office/claim-accepted.rtf": letter.make,
    "office/delivery-note-scan.pdf": scan.make,
    "office/invoice-pellworth.pdf": invoices.invoice,
    "office/lease-unit-7.pdf": lease.make,
    "office/memo-finishing-room.odt": memo.make,
    "office/quote-shelving.eml": mails.mail,
    "office/safety-notice-kt-40.html": notice.make,
    "office/services-agreement.docx": service_agreement.make,
    "orders.csv": orders.as_csv,
}
"""The files, but for orders.parquet, by their names in the folder of samples."""


def write(folder: Path) -> None:
    """Write all files below the folder, in place of earlier ones."""
    (folder / "office").mkdir(exist_ok=True)
    for name, make in FILES.items():
        (folder / name).write_bytes(make())
    orders.write_parquet(folder / "orders.parquet")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
