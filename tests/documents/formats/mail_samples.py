"""Mails for tests, put together by hand, since the library that writes mail never writes the broken ones."""

import base64


def mail(*fields: str, body: str | bytes = "") -> bytes:
    """A mail with fields of its own beside the usual ones."""
    head = ["From: Ann <ann@example.org>", "To: bob@example.org", "Subject: Terms", *fields]
    return "\n".join(head).encode() + b"\n\n" + (body.encode() if isinstance(body, str) else body)


def part(kind: str, body: str | bytes, *fields: str) -> bytes:
    """A part of a mail."""
    head = "".join(f"{field}\n" for field in (f"Content-Type: {kind}", *fields))
    return head.encode() + b"\n" + (body.encode() if isinstance(body, str) else body)


def multipart(kind: str, *parts: bytes, boundary: str = "=_b1", parameters: str = "") -> bytes:
    """A part that holds others."""
    line = f"--{boundary}".encode()
    body = b"".join(line + b"\n" + one + b"\n" for one in parts) + line + b"--\n"
    return part(f'multipart/{kind}; boundary="{boundary}"{parameters}', body)


def mail_of(content: bytes) -> bytes:
    """A mail whose content is a part, made by `part` or `multipart`."""
    return mail().removesuffix(b"\n") + content


def attached(name: str, data: bytes = b"%PDF-1.7 terms", kind: str = "application/pdf") -> bytes:
    """A part that is an attached file."""
    disposition = f'Content-Disposition: attachment; filename="{name}"'
    return part(kind, base64.encodebytes(data), disposition, "Content-Transfer-Encoding: base64")


def nested(depth: int) -> bytes:
    """A mail with many parts inside each other."""
    inner = part("text/plain", "deep")
    heads = [f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n'.encode() for n in range(depth)]
    return mail_of(b"".join(heads) + inner)


HEAD = "From: Ann <ann@example.org>\nTo: bob@example.org\nSubject: Terms\n"
"""The text of the fields of `mail`."""
