"""Mail: the fields that matter, the letter, and the files that are sent along."""

import re
import unicodedata
from collections.abc import Iterator

from batchrun.documents.formats import Attached, Found, Part, ReadOptions, Unusable, UnusablePart
from batchrun.documents.formats.mail_body import Body, Letter, letter_of, stays_alternative
from batchrun.documents.formats.mime import Entity, parse_mail

_FIELDS = ("From", "To", "Cc", "Subject", "Date")
_MAX_ATTACHMENTS = 1_000
_MAX_NAME = 100
_MAX_ENDING = 12

_MAILS = {"message/rfc822", "message/global", "message/news"}
_NO_DOCUMENTS = {
    "application/pgp-signature",
    "application/pkcs7-signature",
    "application/x-pkcs7-signature",
    "application/applefile",
    "text/css",
}
_ENDINGS = {"application/pdf": ".pdf", "text/plain": ".txt", "text/html": ".html", "text/calendar": ".ics"}
_CID = re.compile(rb"cid:([^\"'\s>)]{1,200})", re.IGNORECASE)
_PGP = "-----BEGIN PGP MESSAGE-----"


def read(data: bytes, options: ReadOptions) -> Iterator[Found]:
    """Yield the text of a mail, and then what is attached. Raises Unusable if there is nothing to read."""
    mail = _unwrapped(parse_mail(data))
    letter, body = letter_of(mail)
    yield _part(mail, body)
    if options.attachments:
        yield from _attachments(mail, letter)


def _unwrapped(mail: Entity) -> Entity:
    """Return the mail inside a file that is nothing but the wrapping of a mail."""
    while mail.type in _MAILS and not mail.fields.get("from"):
        mail = parse_mail(mail.content())
    return mail


def _part(mail: Entity, body: Body) -> Part:
    is_pgp = body.text.startswith(_PGP)
    sealed = next(filter(None, map(_sealed, mail.leaves)), "encrypted with PGP" if is_pgp else None)
    if sealed and (is_pgp or not body.text):
        raise Unusable(f"a mail that is {sealed}: open it in a mail program, and save its text")
    head = "".join(f"{name}: {value}\n" for name in _FIELDS if (value := mail.field(name.lower())))
    if not head and not body.text:
        raise Unusable("a mail without a text, a sender and a subject")
    return Part(text=f"{head}\n{body.text}\n" if body.text else head, note="; ".join(dict.fromkeys(body.notes)) or None)


def _sealed(leaf: Entity) -> str | None:
    """Return why nobody else can read a part; None if the part is not sealed."""
    if leaf.type == "application/pgp-encrypted":
        return "encrypted with PGP"
    if leaf.type in {"application/pkcs7-mime", "application/x-pkcs7-mime"}:
        is_signed = leaf.parameters.get("smime-type", "").lower() == "signed-data"
        return "wrapped in its S/MIME signature" if is_signed else "encrypted with S/MIME"
    return None


def _attachments(mail: Entity, letter: Letter) -> Iterator[Attached | UnusablePart]:
    shown = _shown_images(mail)
    names = _UniqueNames()
    for number, leaf in enumerate(_sent_along(mail, letter, in_alternative=False), 1):
        if leaf.type in _NO_DOCUMENTS or _is_inline_image(leaf, shown):
            continue
        if number > _MAX_ATTACHMENTS:
            yield UnusablePart(names.take("more"), f"a mail of more than {_MAX_ATTACHMENTS:,} attachments: split it")
            return
        yield _attached(leaf, names)


def _attached(leaf: Entity, names: "_UniqueNames") -> Attached | UnusablePart:
    if sealed := _sealed(leaf):
        return UnusablePart(names.take(leaf.filename or "sealed"), f"{sealed}: open it in a mail program, and save it")
    if leaf.type in {"application/ms-tnef", "application/vnd.ms-tnef"}:
        reason = "attachments wrapped by Outlook (TNEF): unpack them with the program tnef, or have them sent again"
        return UnusablePart(names.take(leaf.filename or "winmail.dat"), reason)
    data = leaf.content()
    return Attached(names.take(leaf.filename or _made_name(leaf, data)), data)


def _made_name(leaf: Entity, data: bytes) -> str:
    """Return a name for what has none: a mail is called by its subject."""
    if leaf.type not in _MAILS:
        return f"attachment{_ENDINGS.get(leaf.type, '')}"
    try:
        subject = parse_mail(data).field("subject")
    except Unusable:
        subject = ""
    return f"{subject or 'message'}.eml"


def _sent_along(part: Entity, letter: Letter, *, in_alternative: bool) -> Iterator[Entity]:
    """Yield the parts that are not the letter. An encrypted part is one part: the key beside it is no file."""
    if not part.children:
        if not letter.has(part, in_alternative=in_alternative):
            yield part
        return
    inside = stays_alternative(part, in_alternative=in_alternative)
    children = part.children[:1] if part.type == "multipart/encrypted" else part.children
    for child in children:
        yield from _sent_along(child, letter, in_alternative=inside)


def _shown_images(mail: Entity) -> set[str]:
    """Return the names of the images that the HTML of a mail shows within its text."""
    pages = (leaf.content() for leaf in mail.leaves if leaf.type == "text/html")
    return {found.decode("utf-8", "replace") for page in pages for found in _CID.findall(page)}


def _is_inline_image(leaf: Entity, shown: set[str]) -> bool:
    if not leaf.type.startswith("image/") or (leaf.disposition == "attachment" and leaf.content_id not in shown):
        return False
    return bool(leaf.content_id) or not leaf.filename


class _UniqueNames:
    """Makes the names of attachments safe to show, and different from each other."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def take(self, name: str) -> str:
        """Return a name that is not taken: "terms.pdf", and then "terms (2).pdf"."""
        safe = _safe(name)
        stem, ending = _split_ending(safe)
        found = _fitting(stem, ending)
        while found in self._taken:
            number = self._next[safe] = self._next.get(safe, 1) + 1
            found = _fitting(stem, f" ({number}){ending}")
        self._taken.add(found)
        return found


def _safe(name: str) -> str:
    """Replace what would be read as a path, a part, or a command to a terminal."""
    seen = "".join("_" if _is_unsafe(char) else char for char in name[: 10 * _MAX_NAME])
    return " ".join(seen.split()).strip(". ") or "attachment"


def _is_unsafe(char: str) -> bool:
    return char in "/\\#" or unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _split_ending(name: str) -> tuple[str, str]:
    stem, dot, ending = name.rpartition(".")
    return (stem, dot + ending) if stem and len(ending) < _MAX_ENDING else (name, "")


def _fitting(stem: str, ending: str) -> str:
    return stem[: _MAX_NAME - len(ending)] + ending
