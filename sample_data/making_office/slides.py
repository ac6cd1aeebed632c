"""A report to a board as PowerPoint writes one: three slides, the second with notes for the speaker."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from making_office.archive import XML, archive, content_types, links

_NAMESPACES = (
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)
_SLIDES = (
    ("Third quarter 2026", ("Bramble Lane Studios Ltd", "Report to the board, 20 October 2026", "Tobias Renwick")),
    (
        "Where we stand",
        (
            "Sales: £142,300, up 9% on the third quarter of 2025",
            "Orders in hand: £88,600",
            "Average time from order to delivery: 23 days (goal: 21)",
            "Claims: 4, all settled",
        ),
    ),
    (
        "Decisions asked for",
        (
            "Buy a second band saw for £2,780",
            "Hire one joiner from 4 January 2027",
            "Renew the insurance with Dunmarrow Mutual",
        ),
    ),
)
_NOTES = "Two large kitchens were delivered late because of the move to Unit 7."
_EMPTY_TREE = '<p:nvGrpSpPr><p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>'
_MAPPED = ("bg1", "tx1", "bg2", "tx2"), ("lt1", "dk1", "lt2", "dk2")
_COLOURS = {"dk1": "000000", "lt1": "FFFFFF", "dk2": "1F2A44", "lt2": "EEECE1", "hlink": "0000FF", "folHlink": "800080"}
_ACCENTS = ("4F81BD", "C0504D", "9BBB59", "8064A2", "4BACC6", "F79646")


def make() -> bytes:
    """Return the presentation."""
    numbers = range(1, len(_SLIDES) + 1)
    return archive(
        {
            "[Content_Types].xml": content_types(_kinds()),
            "_rels/.rels": links(rId1="officeDocument ppt/presentation.xml"),
            "ppt/presentation.xml": _member("presentation", _presentation()),
            "ppt/_rels/presentation.xml.rels": links(
                master="slideMaster slideMasters/slideMaster1.xml",
                notes="notesMaster notesMasters/notesMaster1.xml",
                **{f"slide{n}": f"slide slides/slide{n}.xml" for n in numbers},
            ),
            **{f"ppt/slides/slide{n}.xml": _slide(*_SLIDES[n - 1]) for n in numbers},
            **{f"ppt/slides/_rels/slide{n}.xml.rels": _links_of_slide(n) for n in numbers},
            "ppt/notesSlides/notesSlide2.xml": _member("notes", _tree(_shape(2, "Notes", "body", (_NOTES,)))),
            "ppt/notesSlides/_rels/notesSlide2.xml.rels": links(
                rId1="notesMaster ../notesMasters/notesMaster1.xml", rId2="slide ../slides/slide2.xml"
            ),
            **_masters(),
        }
    )


def _kinds() -> dict[str, str]:
    kinds = {
        "presentation": "presentation.main",
        **{f"slides/slide{n}": "slide" for n in range(1, len(_SLIDES) + 1)},
        "notesSlides/notesSlide2": "notesSlide",
        "slideMasters/slideMaster1": "slideMaster",
        "slideLayouts/slideLayout1": "slideLayout",
        "notesMasters/notesMaster1": "notesMaster",
    }
    themes = {f"ppt/theme/theme{n}.xml": "theme" for n in (1, 2)}
    return {f"ppt/{name}.xml": f"presentationml.{kind}" for name, kind in kinds.items()} | themes


def _member(tag: str, content: str) -> str:
    return f"{XML}<p:{tag} {_NAMESPACES}>{content}</p:{tag}>"


def _presentation() -> str:
    listed = "".join(f'<p:sldId id="{255 + n}" r:id="slide{n}"/>' for n in range(1, len(_SLIDES) + 1))
    return (
        '<p:sldMasterIdLst><p:sldMasterId id="2147483648" r:id="master"/></p:sldMasterIdLst>'
        '<p:notesMasterIdLst><p:notesMasterId r:id="notes"/></p:notesMasterIdLst>'
        f'<p:sldIdLst>{listed}</p:sldIdLst><p:sldSz cx="12192000" cy="6858000"/><p:notesSz cx="6858000" cy="9144000"/>'
    )


def _links_of_slide(number: int) -> str:
    layout = "slideLayout ../slideLayouts/slideLayout1.xml"
    if number == 2:
        return links(rId1=layout, rId2="notesSlide ../notesSlides/notesSlide2.xml")
    return links(rId1=layout)


def _slide(title: str, lines: Sequence[str]) -> str:
    return _member("sld", _tree(_shape(2, "Title", "title", (title,)), _shape(3, "Content", "body", lines)))


def _tree(*shapes: str) -> str:
    return f"<p:cSld><p:spTree>{_EMPTY_TREE}{''.join(shapes)}</p:spTree></p:cSld>"


def _shape(number: int, name: str, kind: str, lines: Sequence[str], *, top: int = 0) -> str:
    """Return a shape with paragraphs; a shape of the master has a place, from which those of slides take theirs."""
    place = f'<a:xfrm><a:off x="838200" y="{top}"/><a:ext cx="10515600" cy="{4351338 if kind == "body" else 1325563}"/>'
    geometry = f'{place}</a:xfrm><a:prstGeom prst="rect"><a:avLst/></a:prstGeom>' if top else ""
    paragraphs = "".join(f"<a:p><a:r><a:t>{escape(line)}</a:t></a:r></a:p>" for line in lines)
    index = ' idx="1"' if kind == "body" else ""
    return (
        f'<p:sp><p:nvSpPr><p:cNvPr id="{number}" name="{name}"/><p:cNvSpPr/><p:nvPr>'
        f'<p:ph type="{kind}"{index}/></p:nvPr></p:nvSpPr>'
        f"<p:spPr>{geometry}</p:spPr><p:txBody><a:bodyPr/>{paragraphs}</p:txBody></p:sp>"
    )


def _masters() -> dict[str, str]:
    """Return the masters, the layout and the themes, without which PowerPoint opens no slide."""
    accents = {f"accent{n}": f"accent{n}" for n in range(1, len(_ACCENTS) + 1)}
    mapped = dict(zip(*_MAPPED, strict=True)) | accents | {"hlink": "hlink", "folHlink": "folHlink"}
    words = " ".join(f'{name}="{colour}"' for name, colour in mapped.items())
    colours = f"<p:clrMap {words}/>"
    places = _tree(
        _shape(2, "Title", "title", ("Title",), top=365125), _shape(3, "Content", "body", ("Text",), top=1825625)
    )
    layouts = '<p:sldLayoutIdLst><p:sldLayoutId id="2147483649" r:id="rId1"/></p:sldLayoutIdLst>'
    return {
        "ppt/slideMasters/slideMaster1.xml": _member("sldMaster", places + colours + layouts),
        "ppt/slideMasters/_rels/slideMaster1.xml.rels": links(
            rId1="slideLayout ../slideLayouts/slideLayout1.xml", rId2="theme ../theme/theme1.xml"
        ),
        "ppt/slideLayouts/slideLayout1.xml": _member("sldLayout", places),
        "ppt/slideLayouts/_rels/slideLayout1.xml.rels": links(rId1="slideMaster ../slideMasters/slideMaster1.xml"),
        "ppt/notesMasters/notesMaster1.xml": _member("notesMaster", _tree() + colours),
        "ppt/notesMasters/_rels/notesMaster1.xml.rels": links(rId1="theme ../theme/theme2.xml"),
        "ppt/theme/theme1.xml": _theme(),
        "ppt/theme/theme2.xml": _theme(),
    }


def _theme() -> str:
    colours = _COLOURS | {f"accent{n}": colour for n, colour in enumerate(_ACCENTS, 1)}
    order = ("dk1", "lt1", "dk2", "lt2", *(f"accent{n}" for n in range(1, 7)), "hlink", "folHlink")
    listed = "".join(f'<a:{name}><a:srgbClr val="{colours[name]}"/></a:{name}>' for name in order)
    font = '<a:latin typeface="Calibri"/><a:ea typeface=""/><a:cs typeface=""/>'
    fill = '<a:solidFill><a:schemeClr val="phClr"/></a:solidFill>'
    return (
        f'{XML}<a:theme xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" name="Plain"><a:themeElements>'
        f'<a:clrScheme name="Plain">{listed}</a:clrScheme><a:fontScheme name="Plain"><a:majorFont>{font}</a:majorFont>'
        f'<a:minorFont>{font}</a:minorFont></a:fontScheme><a:fmtScheme name="Plain"><a:fillStyleLst>{fill * 3}'
        f"</a:fillStyleLst><a:lnStyleLst>{f'<a:ln>{fill}</a:ln>' * 3}</a:lnStyleLst><a:effectStyleLst>"
        f"{'<a:effectStyle><a:effectLst/></a:effectStyle>' * 3}</a:effectStyleLst><a:bgFillStyleLst>{fill * 3}"
        "</a:bgFillStyleLst></a:fmtScheme></a:themeElements></a:theme>"
    )
