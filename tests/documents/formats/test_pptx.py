"""PowerPoint files: slides in the order of the show, with their notes."""

import pytest
from office_samples import archive, at, links, only_part, pptx, xml

from batchrun.document import Place
from batchrun.documents.formats import Unusable


def a(text: str) -> str:
    return f"<a:p><a:r><a:t>{text}</a:t></a:r></a:p>"


def shape(*texts: str, placeholder: str = "") -> str:
    kind = f'<p:nvSpPr><p:nvPr><p:ph type="{placeholder}"/></p:nvPr></p:nvSpPr>' if placeholder else ""
    return f"<p:sp>{kind}<p:txBody>{''.join(map(a, texts))}</p:txBody></p:sp>"


def slide(*shapes: str, more: str = "") -> str:
    return xml("p:sld", f"<p:cSld><p:spTree>{''.join(shapes)}</p:spTree></p:cSld>").replace(
        "<p:sld ", f"<p:sld {more} "
    )


def test_slides_are_places_in_the_order_of_the_show() -> None:
    data = pptx(slide(shape("First", "line")), slide(), slide(shape("Third")))
    part = only_part("pptx", data)
    assert part.text == "First\nline\n\nThird"
    assert part.places == (Place("slide", "1", 0), Place("slide", "2", 12), Place("slide", "3", 12))
    assert (part.pages, part.note) == (3, None)


def test_the_order_is_that_of_the_presentation_not_of_the_names() -> None:
    listed = '<p:sldIdLst><p:sldId r:id="b"/><p:sldId r:id="lost"/><p:sldId r:id="a"/></p:sldIdLst>'
    members = {
        "ppt/presentation.xml": xml("p:presentation", listed),
        "ppt/_rels/presentation.xml.rels": links(a="slide slides/1.xml", b="slide /ppt/slides/2.xml"),
        "ppt/slides/1.xml": slide(shape("one")),
        "ppt/slides/2.xml": slide(shape("two")),
    }
    assert only_part("pptx", archive(members)).text == "two\n\none"


def test_groups_tables_fields_and_line_breaks() -> None:
    cells = [["a", "b"], ["wide", '" hMerge="1'], ["c", "d"]]
    rows = "".join(
        "<a:tr>"
        + "".join(
            f'<a:tc hMerge="1"><a:txBody>{a("covered")}</a:txBody></a:tc>'
            if "hMerge" in cell
            else f"<a:tc>{a(cell)}</a:tc>"
            for cell in one
        )
        + "</a:tr>"
        for one in cells
    )
    group = f"<p:grpSp><p:grpSp>{shape('in a group')}</p:grpSp></p:grpSp>"
    frame = (
        f"<p:graphicFrame><a:graphic><a:graphicData><a:tbl>{rows}</a:tbl></a:graphicData></a:graphic></p:graphicFrame>"
    )
    lines = "<p:sp><a:p><a:r><a:t>x</a:t></a:r><a:br/><a:fld><a:t>7</a:t></a:fld></a:p><a:p/></p:sp>"
    assert only_part("pptx", pptx(slide(group, frame, lines))).text == "in a group\na\tb\nwide\nc\td\nx\n7"


def test_of_two_ways_to_say_the_same_the_first_with_text_counts() -> None:
    ways = f"<mc:Choice>{shape('new')}</mc:Choice><mc:Fallback>{shape('old')}</mc:Fallback>"
    both = f"<mc:AlternateContent>{ways}</mc:AlternateContent>"
    assert only_part("pptx", pptx(slide(both))).text == "new"
    assert only_part("pptx", pptx(slide(both.replace(shape("new"), "<p:pic/>")))).text == "old"


def test_notes_follow_their_slide_and_diagrams_are_read() -> None:
    notes = xml("p:notes", shape("7", placeholder="sldNum") + shape("Say this.", "", "Then that.", placeholder="body"))
    diagram = '<p:graphicFrame><dgm:relIds r:dm="d"/><c:chart r:id="lost"/></p:graphicFrame>'
    data = pptx(
        slide(shape("One"), diagram),
        slide(shape("Two")),
        links_of_slides={"1": links(n="notesSlide ../notes.xml", d="diagramData ../diagram.xml")},
        notes=notes,
        diagram=xml("dgm:dataModel", a("Step 1") + a("") + a("Step 2")),
    )
    part = only_part("pptx", data)
    assert part.text == "One\nStep 1\nStep 2\nNotes:\nSay this.\nThen that.\n\nTwo"
    assert at(part, part.places[1]) == "Two"


def test_hidden_slides_are_included_and_told() -> None:
    part = only_part("pptx", pptx(slide(shape("seen")), slide(shape("unseen"), more='show="0"')))
    assert (part.text, part.note) == ("seen\n\nunseen", "1 hidden slide included")


def test_no_presentation() -> None:
    with pytest.raises(
        Unusable, match=r"a PowerPoint presentation that is damaged \(no slide is found in it\); open it in PowerPoint"
    ):
        only_part("pptx", pptx())
