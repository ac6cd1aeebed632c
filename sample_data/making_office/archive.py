"""Writes the zip archives that Word, Excel, PowerPoint and OpenDocument files are."""

import io
import zipfile
from collections.abc import Mapping

MADE_AT = (2026, 11, 2, 9, 0, 0)
XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_LINK = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def archive(members: Mapping[str, str]) -> bytes:
    """Return a zip archive with these members in their order; the same members give the same bytes."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as file:
        for name, content in members.items():
            file.writestr(_member(name), content)
    return target.getvalue()


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, MADE_AT)
    member.create_system = 3  # what Linux writes, so that the system that runs this does not matter
    member.external_attr = 0o644 << 16
    return member


def content_types(types: Mapping[str, str]) -> str:
    """Return [Content_Types].xml of an Office file: which member has which type."""
    listed = "".join(f'<Override PartName="/{name}" ContentType="{_office(kind)}"/>' for name, kind in types.items())
    return (
        f'{XML}<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{listed}</Types>'
    )


def _office(kind: str) -> str:
    return f"application/vnd.openxmlformats-officedocument.{kind}+xml"


def links(**targets: str) -> str:
    """Return the links of a member of an Office file, given as `rId1="kind target"`."""
    listed = "".join(
        f'<Relationship Id="{link}" Type="{_LINK}/{kind}" Target="{target}"/>'
        for link, (kind, target) in ((link, words.split()) for link, words in targets.items())
    )
    return f'{XML}<Relationships xmlns="{_PACKAGE}/relationships">{listed}</Relationships>'
