"""What the simulated model reads in a document: its title and sentences, and values that it knows by their form."""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from functools import lru_cache

_SENTENCE_END = re.compile(r"[.!?][\"”']?(?=\s+[\"“(]?[A-ZÀ-Þ0-9])|\n(?=\s*\n)|:(?=\n)")
_OPENING = re.compile(r"^<(\w+)(?:\s[^<>]*)?>$", re.MULTILINE)
_FENCE = re.compile(r"<data-([0-9a-f]{16,})>\n")
_SHORTEST_SENTENCE = 24
_RULER = " \t#*=-_"

_MONTH_BEGINNINGS = (
    *("jan|ene|gen", "feb|fév", "mar|mär", "apr|avr|abr", "may|mai|mag", "jun|juin|giu"),
    *("jul|juil|lug", "aug|aoû|ago", "sep|set", "oct|okt|ott", "nov", "dec|dez|déc|dic"),
)
_MONTHS = {start: number for number, starts in enumerate(_MONTH_BEGINNINGS, start=1) for start in starts.split("|")}
_MONTH = rf"({'|'.join(_MONTHS)})[a-zé]*\.?"
_DATE = re.compile(
    r"\b(?:(\d{4})-(\d\d)-(\d\d)"
    rf"|{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}})"
    rf"|(\d{{1,2}})(?:st|nd|rd|th|\.|er)?\s+(?:day\s+of\s+|de\s+)?{_MONTH},?\s+(?:de\s+)?(\d{{4}})"
    r"|(\d{1,2})[./](\d{1,2})[./](\d{4}))\b",
    re.IGNORECASE,
)
_RETURN_PERIOD = 50  # years; a flood that comes once in so many is no term of a contract
_WORDS_TO_TWELVE = "one two three four five six seven eight nine ten eleven twelve"
_NUMBER_WORDS = {word: number for number, word in enumerate(_WORDS_TO_TWELVE.split(), start=1)}
_DURATION = re.compile(
    rf"\b(?:(\d{{1,4}})\)?|({'|'.join(_NUMBER_WORDS)}))[\s-]+(?:(?:calendar|business)\s+)?(day|week|month|year)s?\b",
    re.IGNORECASE,
)
_CURRENCY = r"USD|EUR|GBP|CHF|JPY|CAD|AUD|US\$|\$|€|£|¥"
_AMOUNT = r"\d{1,3}(?:[,.'\u00a0\u202f]\d{3})+(?:[.,]\d{1,2})?|\d+(?:[.,]\d{1,2})?"
_MONEY = re.compile(rf"(?:({_CURRENCY})\s?({_AMOUNT}))|(?:\b({_AMOUNT})\s?({_CURRENCY}|dollars|euros?|pounds)(?!\w))")
_SYMBOLS = {"$": "USD", "US$": "USD", "dollars": "USD", "€": "EUR", "euro": "EUR", "euros": "EUR", "£": "GBP"}
_NUMBER = re.compile(r"(?<![\w.,/-])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![\w/-]|\.\d)")
_CENTS = re.compile(r"[.,](\d{1,2})$")

_LAW = re.compile(
    r"\b(?:(?!(?:Applicable|The|Governing|This|Such|Any|Local|By|Data|No|Choice|If)\b)"
    r"(?P<whose>[A-Z][a-z]+(?: [A-Z][a-z]+)?)\s+law\b|[Ll]aws?\s+of\s+(?:the\s+)?"
    r"(?P<place>(?:(?:State|Commonwealth|Province|Republic|Kingdom|Canton|Federal\s+Republic)\s+of\s+)?"
    r"[A-Z][a-z]+(?:\s+(?:and\s+)?[A-Z][a-z]+){0,3}))"
)
_HEAD = 2_000  # characters in which parties are introduced
_NAME = r"([A-ZÀ-Þ][^,;:()\"“”„\n]{1,70}?)"
_ROLES = (
    r"Bank|Borrower|Buyer|Client|Company|Consultant|Contractor|Customer|Distributor|Employee|Employer|Franchisee|"
    r"Franchisor|Hirer|Landlord|Lender|Lessee|Lessor|Licensee|Licensor|Owner|Principal|Processor|Provider|Publisher|"
    r"Purchaser|Seller|Supplier|Tenant|Vendor|Auftraggeber|Auftragnehmer|Mieter|Vermieter|Acheteur|Prestataire"
)
_COMPANIES = r"Inc|LLC|Ltd|LTD|Limited|GmbH|Corporation|Company|plc|PLC|SARL|S\.p\.A"
_PARTIES = tuple(
    re.compile(pattern, re.MULTILINE | re.DOTALL)
    for pattern in (
        rf"\b(?:between|zwischen|entre):?\s+{_NAME}(?:\s+|\s*[,;(\"“„].{{0,300}}?[,;)]\s*)(?:and|und|et)\s+{_NAME}"
        r"(?=\s*[,;(\n.])",
        rf"^[ \t>-]*(?:{_ROLES}|Party [AB12])(?: \([^)]*\))?:[ \t]+([^,;(\n]+)",
        rf"^{_NAME}(?:,[^()\n]*)?\s*\((?:the\s+|le\s+|la\s+)?[\"“„](?:{_ROLES})[\"”“]\)",
        rf"^\s*\([ab12]\)\s+{_NAME}(?=,)",
        rf"((?:[A-ZÀ-Þ][\w&'.-]* (?:& )?){{1,5}}(?:{_COMPANIES})\b\.?)",
    )
)


def document_in(prompt: str) -> str:
    """Return the document within a prompt: what a fence or the first tag around whole lines encloses, or everything."""
    fence = _FENCE.search(prompt)
    end = prompt.find(f"\n</data-{fence[1]}>", fence.end() - 1) if fence else -1
    if fence and end > 0:
        return prompt[fence.end() : end].strip()
    opening = _OPENING.search(prompt)
    end = prompt.rfind(f"\n</{opening[1]}>") if opening else -1
    return prompt[opening.end() : end].strip() if opening and end > 0 else prompt


def has_document(prompt: str) -> bool:
    """Return whether a prompt encloses a document in a tag around whole lines."""
    return document_in(prompt) != prompt


def title_of(text: str) -> str:
    """Return the first line with letters in it."""
    lines = (line.strip(_RULER) for line in text.splitlines())
    return next((line for line in lines if any(map(str.isalpha, line))), "")


@lru_cache(maxsize=16)  # a document is asked for many fields
def sentences_of(text: str) -> Sequence[str]:
    """Return the sentences, word for word."""
    found, start, title = [], 0, title_of(text)
    for end in _SENTENCE_END.finditer(text):
        # `4. Governing Law.` begins a sentence rather than being one.
        if end[0] in {"\n", ":"} or end.end() - start >= _SHORTEST_SENTENCE:
            found.append(text[start : end.end()].strip())
            start = end.end()
    found.append(text[start:].strip())
    return [part for part in found if len(part) >= _SHORTEST_SENTENCE and part.strip(_RULER) != title]


def beginning_of(text: str) -> str:
    """Return the first two sentences, in one line."""
    return " ".join(" ".join(sentences_of(text)[:2]).split())


def find_dates(text: str) -> Iterator[date]:
    """Find dates in the usual spellings; the day stands before the month where nothing but the order decides."""
    for match in _DATE.finditer(text):
        parts = [part.lower() for part in match.groups() if part is not None]
        one, two, three = (_MONTHS.get(part) or int(part) for part in parts)
        if len(parts[0]) != 4 or parts[0] in _MONTHS:
            month_first = parts[0] in _MONTHS or ("/" in match[0] and two > 12)
            one, two, three = (three, one, two) if month_first else (three, two, one)
        try:
            yield date(one, two, three)
        except ValueError:  # 31.02.2024 is no date
            continue


def find_durations(text: str) -> Iterator[tuple[int, str]]:
    """Find counts of days, weeks, months and years, in figures or words: pairs of a number and a unit."""
    for match in _DURATION.finditer(text):
        number, unit = int(match[1] or _NUMBER_WORDS[match[2].lower()]), match[3].lower()
        if unit != "year" or number < _RETURN_PERIOD:
            yield number, unit


def find_money(text: str) -> Iterator[tuple[float, str]]:
    """Find amounts with a currency before or behind."""
    for match in _MONEY.finditer(text):
        currency = match[1] or match[4]
        yield _as_number(match[2] or match[3]), _SYMBOLS.get(currency, currency)


def find_numbers(text: str) -> Iterator[float]:
    """Find plain numbers that are not a part of a word, a date or a version."""
    return (_as_number(match[0]) for match in _NUMBER.finditer(text))


def _as_number(text: str) -> float:
    cents = _CENTS.search(text)
    whole = re.sub(r"\D", "", text[: cents.start()] if cents else text)
    return float(f"{whole}.{cents[1]}") if cents else float(whole)


def find_laws(text: str) -> Iterator[str]:
    """Find the laws a text names: `State of Delaware`, `Dutch law`."""
    for match in _LAW.finditer(text):
        yield " ".join((match["place"] or f"{match['whose']} law").split())


def find_parties(text: str) -> Sequence[str]:
    """Find names of parties, each once: by role, by "between … and …", in a list, and companies by legal form."""
    head = text[:_HEAD].replace("*", "")
    found = (name for pattern in _PARTIES for match in pattern.finditer(head) for name in match.groups())
    return list(dict.fromkeys(" ".join(name.split()) for name in found))
