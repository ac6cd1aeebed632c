"""A lease of a workshop: three pages, the first of which ends within a word."""

import re

from making_office.pdf import Page, text_pdf

_LEFT, _TOP, _LINE = 70, 80, 19
_TITLE = "LEASE OF UNIT 7, CANAL YARD, WEXCOMBE"
_PAGES = (
    """
This lease is made on 3 March 2026 between Ostrey Property Holdings LLP, of 4 Minster Court,
Wexcombe WX1 1AB (the "Landlord"), and Bramble Lane Studios Ltd, company number 00994417, of 12
Bramble Lane, Wexcombe WX1 3QF (the "Tenant").

1. The Premises
1.1 The Landlord lets to the Tenant the workshop known as Unit 7, Canal Yard, with a floor area
of 412 square metres, as edged in red on the plan that both parties have signed (the "Premises").
1.2 The Tenant may use the yard in front of the Premises for loading, and may park two vans there
overnight. No other part of the yard may be obstructed at any time.

2. Term
2.1 The term is five years. It begins on 25 March 2026 and ends on 24 March 2031.
2.2 Either party may end this lease on 25 March 2029 by giving the other at least six months'
written notice. The notice has no effect if the party that gives it owes money under this lease
on that day.

3. Rent
3.1 The rent is £38,400 a year without VAT. It is payable in equal quarterly instalments of
£9,600 in advance, on 25 March, 24 June, 29 September and 25 December.
3.2 Nothing is payable for the first three months, during which the Tenant fits out the Premises.
3.3 The rent is reviewed once, on 25 March 2029. It rises or falls with the index of consumer
prices since the beginning of the term, but by no more than twelve per cent.

4. Deposit
4.1 The Tenant pays a deposit of £9,600 when this lease is signed. The Landlord keeps it in a
separate account.
4.2 The deposit is returned within thirty days after the end of the term, less what is needed to
make good any damage.

5. Service charge
5.1 The Tenant pays a fair share of what the Landlord spends on lighting, cleaning, insuring and
repairing the yard and the roofs of all units, at present £2,150 a year. The Landlord sends an
account of these costs, and of what the coming year is likely to cost, with the plan of the main-
""",
    """
tenance that is due, by 30 April. The Tenant may look at the receipts.

6. Use
6.1 The Premises may be used as a joinery and design workshop, and for no other purpose without
the Landlord's consent.
6.2 Machines may run from 07:00 to 20:00 on weekdays and from 09:00 to 14:00 on Saturdays.
6.3 The Tenant keeps no more than 200 litres of paint, oil and solvents, in a steel cabinet, and
removes wood dust daily.

7. Repairs and alterations
7.1 The Landlord keeps the roof, the outer walls, the foundations and the drains in repair.
7.2 The Tenant keeps the inside of the Premises, with doors, windows and electrical wiring, in
the condition shown by the photographs of 27 February 2026, fair wear excepted.
7.3 The Tenant may put up partitions and extraction ducts that leave the structure alone. Any
other alteration needs the Landlord's written consent, which may not be refused without a good
reason.

8. Insurance
8.1 The Landlord insures the building against fire, storm, flood and impact, and the Tenant
repays a fair share.
8.2 The Tenant insures its own goods, and holds public liability insurance of at least
£5,000,000.
8.3 If the Premises cannot be used because of an insured risk, no rent is payable until they can
be used again, for at most two years. After two years either party may end this lease by written
notice.

9. Assignment
9.1 The Tenant may assign this lease as a whole to a company of sound finances, with the
Landlord's consent.
9.2 The Tenant may share up to a quarter of the floor area with other craftspeople, if they gain
no tenancy by it.

10. Late payment
10.1 Interest of four per cent a year above the base rate is payable on any sum that is more than
fourteen days late.
10.2 If rent is more than twenty-eight days late, the Landlord may end this lease after a written
warning of ten days.
""",
    """
11. The end of the term
11.1 The Tenant leaves the Premises empty and clean, and takes down any partition if the Landlord
asks for it at least two months before.
11.2 Sections 24 to 28 of the Landlord and Tenant Act 1954 do not apply to this lease.

12. Notices
12.1 A notice must be in writing. It is delivered by hand or by recorded post to the address at
the head of this lease.
12.2 A notice sent by post counts as received on the second working day after posting. Email is
not enough.

13. Disputes and law
13.1 A disagreement about the service charge is decided by a surveyor whom both parties name. The
surveyor's fee is shared equally.
13.2 This lease is governed by the law of England and Wales.

Signed on 3 March 2026

For Ostrey Property Holdings LLP: Honor Lyddiard, partner
For Bramble Lane Studios Ltd: Tobias Renwick, director
Witness: Amara Vint, 9 Tanner's Row, Wexcombe
""",
)


def make() -> bytes:
    """Return the lease as a PDF."""
    pages = [Page() for _ in _PAGES]
    pages[0].text(_LEFT, 52, _TITLE, font="F4", size=13)
    for page, text in zip(pages, _PAGES, strict=True):
        _write(page, text.strip())
    # The first page has no number, as first pages often have none, and so nothing stands within the broken word.
    for number, page in enumerate(pages[1:], 2):
        page.text(270, 812, f"Page {number} of {len(pages)}", font="F3", size=9)
    return text_pdf("Lease of Unit 7, Canal Yard", pages)


def _write(page: Page, text: str) -> None:
    for index, line in enumerate(text.split("\n")):
        is_heading = re.match(r"\d+\. ", line)
        page.text(_LEFT, _TOP + _LINE * index, line, font="F4" if is_heading else "F3", size=10.5)
