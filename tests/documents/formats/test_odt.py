"""OpenDocument texts: everything that a person sees, with the numbers of lists."""

import pytest
from office_samples import archive, at, odt, only_part

from batchrun.documents.formats import Unusable


def p(text: str, style: str = "") -> str:
    return f'<text:p text:style-name="{style}">{text}</text:p>'


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (p("one") + p("two"), "one\ntwo"),
        (p("\n  one\n  two <text:span> three</text:span> four"), "one two three four"),
        (p('a<text:s text:c="3"/>b<text:tab/>c<text:line-break/>d<text:s/>'), "a   b\tc\nd"),
        (p('a<text:s text:c="999999999"/>b'), "a" + " " * 100 + "b"),
        (p("§\u00a05 so\u00adft"), "§ 5 soft"),
        (p('<text:a>link</text:a><text:bookmark text:name="x"/> end'), "link end"),
        (p("a<office:annotation><text:p>comment</text:p></office:annotation>b<office:annotation-end/>"), "ab"),
        (p('a<text:span text:style-name="Hidden">secret</text:span>b<text:hidden-text>x</text:hidden-text>'), "ab"),
        (p("secret", "Hidden") + p("seen"), "seen"),
        (f"<text:section>{p('in')}</text:section><text:section text:display='none'>{p('out')}</text:section>", "in"),
        (p("<text:ruby><text:ruby-base>字</text:ruby-base><text:ruby-text>ji</text:ruby-text></text:ruby>"), "字(ji)"),
        (f"<text:tracked-changes><text:deletion>{p('gone')}</text:deletion></text:tracked-changes>{p('kept')}", "kept"),
        (
            "<text:table-of-content><text:table-of-content-source><text:index-title-template>T"
            "</text:index-title-template></text:table-of-content-source><text:index-body>"
            + p("1 One")
            + "</text:index-body></text:table-of-content>",
            "1 One",
        ),
        (
            p(f"a<draw:frame><svg:desc>picture</svg:desc><draw:text-box>{p('box')}</draw:text-box></draw:frame>b"),
            "ab\nbox",
        ),
    ],
)
def test_what_is_seen(body: str, text: str) -> None:
    hidden = '<style:style style:name="Hidden"><style:text-properties text:display="none"/></style:style>'
    assert only_part("odt", odt(body, hidden)).text == text


def test_deletions_are_told() -> None:
    assert only_part("odt", odt("<text:tracked-changes/>" + p("x"))).note == "tracked changes read as if accepted"


def test_tables() -> None:
    def cell(text: str, more: str = "") -> str:
        return f"<table:table-cell {more}>{text}</table:table-cell>"

    def rows(*cells: str) -> str:
        return f"<table:table-row>{''.join(cells)}</table:table-row>"

    inner = f"<table:table>{rows(cell(p('1')), cell(p('2')))}</table:table>"
    covered = f"<table:covered-table-cell>{p('covered')}</table:covered-table-cell>"
    many = 'table:number-columns-repeated="1000000"'
    table = (
        f"<table:table><table:table-column/><table:table-header-rows>{rows(cell(p('h1') + p('h2')), cell(p('h3')))}"
        f"</table:table-header-rows>{rows(cell(p('wide')), covered, cell(p('x')))}"
        f"{rows(cell(inner), cell('', many))}{rows(cell(p('alone') + p('here')))}</table:table>"
    )
    assert only_part("odt", odt(table)).text == "h1 h2\th3\nwide\t\tx\n1 2\nalone\nhere"


def style(name: str, *levels: str, tag: str = "list-style") -> str:
    return f'<text:{tag} style:name="{name}">{"".join(levels)}</text:{tag}>'


def level(number: int, form: str = "1", more: str = "", tag: str = "list-level-style-number") -> str:
    return f'<text:{tag} text:level="{number}" style:num-format="{form}" {more}/>'


def items(*contents: str, more: str = "", name: str = "L") -> str:
    listed = "".join(f"<text:list-item>{one if one.startswith('<') else p(one)}</text:list-item>" for one in contents)
    return f'<text:list text:style-name="{name}" {more}>{listed}</text:list>'


OUTLINE = style(
    "L",
    level(1, more='style:num-suffix="."'),
    level(2, more='text:display-levels="2"'),
    level(3, "a", 'style:num-prefix="(" style:num-suffix=")"'),
)


def test_lists_are_numbered_and_clauses_are_places() -> None:
    inner = "<text:list>{}</text:list>"
    third = inner.format(
        f"<text:list-item>{inner.format('<text:list-item>' + p('deep') + '</text:list-item>')}</text:list-item>"
    )
    second = inner.format(
        f"<text:list-item>{p('sub')}{p('more')}</text:list-item><text:list-item>{p('sub')}</text:list-item>"
    )
    body = (
        items("One", p("Two") + second + third) + p("between") + items("Three", more='text:continue-numbering="true"')
    )
    part = only_part("odt", odt(body + items("Anew"), OUTLINE))
    assert part.text.splitlines() == [
        *("1. One", "2. Two", "2.1 sub", "more", "2.2 sub", "(a) deep", "between", "3. Three", "1. Anew"),
    ]
    names = ["1. One", "2. Two", "2.1 sub", "2.2 sub", "3. Three", "1. Anew"]
    assert [place.name for place in part.places] == names
    assert [at(part, place) for place in part.places] == names


def test_a_list_goes_on_by_its_id_and_items_may_start_anew() -> None:
    first = items("a", more='xml:id="first"')
    other = items("b")
    on = items("c", more='text:continue-list="first"')
    started = (
        '<text:list text:style-name="L"><text:list-item text:start-value="7">'
        + p("d")
        + "</text:list-item></text:list>"
    )
    header = '<text:list text:style-name="L"><text:list-header>' + p("e") + "</text:list-header></text:list>"
    assert only_part("odt", odt(first + other + on + started + header, OUTLINE)).text == "1. a\n1. b\n2. c\n7. d\ne"


def test_bullets_newer_formats_and_unknown_styles() -> None:
    bullets = style("B", level(1, "", 'text:bullet-char="\uf0b7"', tag="list-level-style-bullet"))
    newer = style("N", level(1, "I", 'loext:num-list-format="Art. %1%:"'))
    none = style("E", level(1, ""))
    body = items("b", name="B") + items("n", name="N") + items("e", name="E") + items("u", name="unknown")
    assert only_part("odt", odt(body, bullets + newer + none)).text == "• b\nArt. I: n\ne\nu"


def test_headings_are_places_and_have_the_numbers_of_the_outline() -> None:
    outline = style(
        "Outline", level(1, tag="outline-level-style"), level(2, "", tag="outline-level-style"), tag="outline-style"
    )
    body = '<text:h text:outline-level="1">One</text:h><text:h text:outline-level="2">Sub</text:h><text:h>Two</text:h>'
    part = only_part("odt", odt(body + "<text:h/>" + '<text:h text:is-list-header="true">Bare</text:h>', outline))
    assert part.text == "1 One\nSub\n2 Two\n3\nBare"
    assert [place.name for place in part.places] == ["1 One", "Sub", "2 Two", "Bare"]


def test_headers_footers_and_notes() -> None:
    page = (
        f"<style:master-page><style:header>{p('Head')}</style:header>"
        f'<style:header-left style:display="false">{p("unused")}</style:header-left>'
        f"<style:footer>{p('Foot')}</style:footer></style:master-page>"
    )
    citation = "<text:note-citation>{}</text:note-citation>"
    note = '<text:note text:note-class="{}">' + citation + "<text:note-body>{}</text:note-body></text:note>"
    body = p("a" + note.format("endnote", "i", p("end")) + " b" + note.format("footnote", 1, p("foot") + p("more")))
    assert only_part("odt", odt(body, masters=page + page)).text == "Head\na[i] b[1]\nFoot\n[1] foot\nmore\n[i] end"


def test_what_is_no_text_is_refused() -> None:
    locked = {"META-INF/manifest.xml": "<manifest><encryption-data/></manifest>"}
    with pytest.raises(Unusable, match=r"an OpenDocument text that is protected by a password; open it in LibreOffice"):
        only_part("odt", odt(p("x"), **locked))
    with pytest.raises(Unusable, match="no body of a text"):
        only_part("odt", archive({"content.xml": "<x/>"}))
