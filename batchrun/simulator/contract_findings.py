"""What can be found in a contract by its usual phrases: the parties, and the law that governs."""

import re
from collections.abc import Iterator

from batchrun.simulator.findings import Found

_HEAD = 2_000  # characters in which parties are introduced
_NEARBY = 500  # characters between the names of two parties
_NAME = r"[A-ZÀ-Þ][^,;:()\"“”„\n]{1,70}?"
_ROLES = (
    r"Bank|Borrower|Buyer|Client|Company|Consultant|Contractor|Customer|Distributor|Employee|Employer|Franchisee|"
    r"Franchisor|Guarantor|Hirer|Landlord|Lender|Lessee|Lessor|Licensee|Licensor|Owner|Principal|Processor|Provider|"
    r"Publisher|Purchaser|Receiving Party|Disclosing Party|Seller|Service Provider|Supplier|Tenant|Vendor|"
    r"Auftraggeber|Auftragnehmer|Käufer|Mieter|Vermieter|Verkäufer|Acheteur|Prestataire|Vendeur|Comprador|Vendedor"
)
_LABELLED = re.compile(rf"^[ \t>-]*(?:{_ROLES}|Party [AB12])(?: \([^)]*\))?:[ \t]+([^,;(\n]+)", re.MULTILINE)
_BETWEEN = re.compile(
    rf"\b(?:between|zwischen|entre)\b:?\s+(?:\(?[1a]\)?\.?\s+)?({_NAME})(?=\s*[,;(\"“„\n]|\s+(?:and|und|et|y)\s)"
)
_AND = re.compile(rf"\b(?:and|und|et|y)\s+(?:\(?[2b]\)?\.?\s+)?({_NAME})(?=\s*[,;(\"“„.\n]|$)")
_DEFINED = re.compile(
    rf"^(?:and\s+)?({_NAME})(?:,[^()\n]*)?\s*\((?:the\s+|le\s+|la\s+)?[\"“„](?:{_ROLES})[\"”“]\)", re.MULTILINE
)
_LISTED = re.compile(rf"^\s*\([ab12]\)\s+({_NAME})(?=,)", re.MULTILINE)
_FORM = re.compile(
    r" (?:GmbH & Co\. KG|Inc|LLC|LLP|Ltd|Limited|LTD|GmbH|AG|KG|SE|Corp|Corporation|Company|plc|PLC|"
    r"S\.A|S\.L|SAS|SARL|B\.V|N\.V|S\.p\.A|S\.r\.l|Oy|AB|ApS)\b\.?(?!\w)"
)
_BEFORE_FORM = re.compile(r"[A-ZÀ-Þ][\w&'\u2019.-]*(?: (?:[A-ZÀ-Þ][\w&'\u2019.-]*|&|of)){0,5}$")
_LONGEST_COMPANY = 80

_LAW = re.compile(r"[Ll]aws?\b")
_LAW_OF = re.compile(
    r"\s+of\s+(?:the\s+)?"
    r"((?:(?:State|Commonwealth|Province|Republic|Kingdom|Canton|Federal\s+Republic)\s+of\s+)?"
    r"[A-Z][a-z]+(?:\s+(?:and\s+)?[A-Z][a-z]+){0,3})"
)
_WHOSE_LAW = re.compile(r"\b([A-Z][a-z]+(?: [A-Z][a-z]+)?)\s+$")
_OF_A_PEOPLE = re.compile(r"(?:ish|ch|ese|iss|ots|rman|alian)$")
_NOT_A_LAW = {"Applicable", "The", "Governing", "This", "Such", "Any", "Local", "By", "Data", "No", "Choice", "If"}
_LONGEST_COUNTRY = 24


def find_parties(text: str) -> Iterator[str]:
    """Find names of parties: by their roles, by "between … and …", in a list, and companies by their legal form."""
    head = text[:_HEAD].replace("*", "")
    yield from (match[1].strip(" .") for match in _LABELLED.finditer(head))
    yield from _between(head)
    yield from (match[1].strip() for match in _DEFINED.finditer(head))
    yield from (match[1].strip() for match in _LISTED.finditer(head))
    yield from _companies(head)


def _between(text: str) -> Iterator[str]:
    if first := _BETWEEN.search(text):
        yield first[1].strip()
        candidates = [match[1].strip() for match in _AND.finditer(text[first.end() : first.end() + _NEARBY])]
        companies = [company for name in candidates for company in _companies(name)]
        yield from (companies or candidates)[:1]


def _companies(text: str) -> Iterator[str]:
    for form in _FORM.finditer(text):
        if name := _BEFORE_FORM.search(text[max(0, form.start() - _LONGEST_COMPANY) : form.start()]):
            yield name[0] + form[0]


def find_laws(text: str) -> Iterator[Found[str]]:
    """Find the laws a text names: `State of Delaware`, `Oregon`, `Dutch law`."""
    for match in _LAW.finditer(text):
        if place := _LAW_OF.match(text, match.end()):
            yield Found(" ".join(place[1].split()), match.start())
        elif (whose := _WHOSE_LAW.search(_before(text, match))) and whose[1] not in _NOT_A_LAW:
            name = whose[1]
            yield Found(f"{name} law" if _OF_A_PEOPLE.search(name) else name, match.start())


def _before(text: str, match: re.Match[str]) -> str:
    return text[max(0, match.start() - _LONGEST_COUNTRY) : match.start()]
