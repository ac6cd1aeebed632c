"""Word files: everything that a person sees, once, and nothing else."""

import pytest
from office_samples import archive, at, docx, links, only_part, p, r, table, xml

from batchrun.document import Place
from batchrun.documents.formats import Unusable

STYLES = (
    '<w:style w:type="paragraph" w:default="1" w:styleId="Standard"><w:name w:val="Normal"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="Clause"><w:basedOn w:val="berschrift2"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="Part"><w:pPr><w:outlineLvl w:val="0"/></w:pPr></w:style>'
    '<w:style w:type="paragraph" w:styleId="Unseen"><w:rPr><w:vanish/></w:rPr></w:style>'
    '<w:style w:type="character" w:styleId="Secret"><w:rPr><w:vanish/></w:rPr></w:style>'
)

UNSEEN = '<w:pStyle w:val="Unseen"/>'


def text_of(body: str, **more: str) -> str:
    return only_part("docx", docx(body, styles=STYLES, **more)).text


def mr(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (p("one") + p("two"), "one\ntwo"),
        (p("one") + p() + p() + p() + p("two") + p(), "one\n\ntwo"),
        (p("<w:r><w:t>a</w:t><w:tab/><w:t> b </w:t><w:br/><w:t>c</w:t><w:cr/><w:t>d</w:t></w:r>"), "a\tb\nc\nd"),
        (p("<w:r><w:t>non</w:t><w:noBreakHyphen/><w:t>stop so\u00adft</w:t><w:softHyphen/></w:r>"), "non-stop soft"),
        (p("§\u00a05"), "§ 5"),
        (p("<w:r><w:t>a\n  b</w:t></w:r>"), "a   b"),
        (p(f"<w:hyperlink>{r('linked')}</w:hyperlink>{r(' text')}"), "linked text"),
        (p(f"<w:smartTag><w:smartTagPr/><w:customXml>{r('smart')}</w:customXml></w:smartTag>"), "smart"),
        (p(f"<w:ins>{r('in')}</w:ins><w:del><w:r><w:delText>out</w:delText></w:r></w:del>{r(' end')}"), "in end"),
        (p(f"<w:moveFrom>{r('from')}</w:moveFrom><w:moveTo>{r('to')}</w:moveTo>"), "to"),
        (p("one ", "<w:rPr><w:del/></w:rPr>") + p("goes on"), "one goes on"),
        (p("<w:del/>", "<w:rPr><w:del/></w:rPr>") + p("next"), "next"),
        (p("last", "<w:rPr><w:del/></w:rPr>"), "last"),
        (p("D", '<w:framePr w:dropCap="drop"/>') + p("rop") + p("E", '<w:framePr w:dropCap="none"/>'), "Drop\nE"),
        (p(r("seen") + r("hidden", "<w:vanish/>") + r(" too", '<w:vanish w:val="0"/>')), "seen too"),
        (p(r("seen") + r("hidden", '<w:rStyle w:val="Secret"/>')), "seen"),
        (p("hidden", UNSEEN) + p(r("not", '<w:vanish w:val="0"/>'), UNSEEN), "not"),
        ("<w:tbl><w:tr><w:trPr><w:hidden/></w:trPr><w:tc><w:p/></w:tc></w:tr></w:tbl>" + p("a"), "a"),
        (p("a") + p("", "<w:rPr><w:vanish/></w:rPr>") + p("b"), "a\nb"),
        (p(f"{r('a')}<w:commentRangeStart/><w:r><w:annotationRef/><w:commentReference w:id='1'/></w:r>"), "a"),
        (f"<w:sdt><w:sdtPr/><w:sdtContent>{p('control')}</w:sdtContent></w:sdt>", "control"),
        (p(f"<w:sdt><w:sdtContent>{r('in line')}</w:sdtContent></w:sdt>"), "in line"),
        (p("<w:r><w:sym w:font='Wingdings' w:char='F0FE'/><w:sym w:font='Symbol' w:char='F061'/></w:r>"), "☑\u03b1"),
        (p("<w:r><w:sym w:font='Unheard of' w:char='F0FE'/><w:sym w:font='x' w:char='oops'/></w:r>"), "•"),
        (p("<w:r><w:rPr><w:rFonts w:ascii='Wingdings'/></w:rPr><w:t>\uf0e0</w:t></w:r>"), "→"),
        (p(f"<w:r><w:ruby><w:rt>{r('kana')}</w:rt><w:rubyBase>{r('字')}</w:rubyBase></w:ruby></w:r>"), "字(kana)"),
        (p(f"<m:oMath><m:f><m:num>{mr('a')}</m:num><m:den>{mr('b')}</m:den></m:f></m:oMath>"), "a/b"),
        (p(f"<m:oMath><m:sSup><m:sSupPr/><m:e>{mr('x')}</m:e><m:sup>{mr('2')}</m:sup></m:sSup></m:oMath>"), "x^2"),
        (p(f"<m:oMath><m:d><m:dPr><m:begChr m:val='['/></m:dPr><m:e>{mr('x')}</m:e></m:d></m:oMath>"), "[x)"),
    ],
)
def test_what_is_seen_of_paragraphs(body: str, text: str) -> None:
    assert text_of(body) == text


FIELD = (
    '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>MERGEFIELD x</w:instrText></w:r>{inner}'
    '<w:r><w:fldChar w:fldCharType="separate"/></w:r>{result}<w:r><w:fldChar w:fldCharType="end"/></w:r>'
)


def test_a_field_shows_its_result_and_not_its_instruction() -> None:
    inner = FIELD.format(inner="", result=r("Yes"))
    assert text_of(p(FIELD.format(inner=inner, result=r("shown")) + r(" after"))) == "shown after"
    assert text_of(p(f'<w:fldSimple w:instr="PAGE">{r("7")}</w:fldSimple>')) == "7"


def test_a_field_that_never_ends_swallows_its_paragraph_at_most() -> None:
    assert text_of(p('<w:r><w:fldChar w:fldCharType="begin"/></w:r>' + r("gone")) + p("kept")) == "kept"
    assert text_of(p('<w:r><w:fldChar w:fldCharType="end"/><w:t>kept</w:t></w:r>')) == "kept"


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ('<w:checkBox><w:default w:val="1"/></w:checkBox>', "☒"),
        ('<w:checkBox><w:default w:val="1"/><w:checked w:val="0"/></w:checkBox>', "☐"),
        ('<w:ddList><w:result w:val="1"/><w:listEntry w:val="red"/><w:listEntry w:val="blue"/></w:ddList>', "blue"),
        ('<w:ddList><w:result w:val="7"/><w:listEntry w:val="red"/></w:ddList>', ""),
    ],
)
def test_form_fields_show_what_was_chosen(form: str, shown: str) -> None:
    begin = f'<w:r><w:fldChar w:fldCharType="begin"><w:ffData>{form}</w:ffData></w:fldChar></w:r>'
    assert text_of(p(begin + '<w:r><w:fldChar w:fldCharType="end"/></w:r>' + r("x"))) == f"{shown}x"


def test_tables_have_cells_by_tab_and_rows_by_line() -> None:
    covered = "<w:tcPr><w:vMerge/></w:tcPr>" + p("covered")
    merged = '<w:tcPr><w:vMerge w:val="restart"/></w:tcPr>' + p("merged")
    wide = '<w:tcPr><w:gridSpan w:val="2"/></w:tcPr>' + p("wide")
    body = table(["a", p("b1") + p("b\tb2"), "c"], [wide, "d"], [merged, "e"], [covered, "f", ""])
    assert text_of(p("before") + body + p("after")) == "before\na\tb1 b b2\tc\nwide\t\td\nmerged\te\n\tf\nafter"


def test_a_table_within_a_cell_is_within_that_cell() -> None:
    inner = table(["1", "2"], ["3", "4"])
    assert text_of(table(["a", p("x") + inner + p()])) == "a\tx 1 2 3 4"


def test_a_row_of_one_cell_keeps_its_lines() -> None:
    assert text_of(table([p("one") + p("two") + table(["a", "b"])])) == "one\ntwo\na\tb"


def test_rows_may_be_wrapped_or_deleted() -> None:
    rows = (
        f"<w:sdt><w:sdtContent><w:tr><w:tc>{p('a')}</w:tc><w:sdt><w:sdtContent><w:tc>{p('b')}</w:tc></w:sdtContent>"
        f"</w:sdt></w:tr></w:sdtContent></w:sdt><w:tr><w:trPr><w:del/></w:trPr><w:tc>{p('gone')}</w:tc></w:tr>"
    )
    part = only_part("docx", docx(f"<w:tbl>{rows}</w:tbl>"))
    assert (part.text, part.note) == ("a\tb", "tracked changes read as if accepted")


BOX = "<w:txbxContent>{}</w:txbxContent>"


def test_a_text_box_is_read_once_after_its_paragraph() -> None:
    both = (
        f'<w:r><mc:AlternateContent><mc:Choice Requires="wps"><w:drawing><wps:txbx>{BOX.format(p("box") + p("2"))}'
        f"</wps:txbx></w:drawing></mc:Choice><mc:Fallback><w:pict><v:textbox>{BOX.format(p('box') + p('2'))}"
        "</v:textbox></w:pict></mc:Fallback></mc:AlternateContent></w:r>"
    )
    assert text_of(p(r("a") + both + r("b")) + p("c")) == "ab\nbox\n2\nc"


def test_the_second_way_to_say_something_counts_where_the_first_says_nothing() -> None:
    choice = '<mc:Choice Requires="wps"><w:drawing/></mc:Choice>'
    fallback = f"<mc:Fallback><w:pict><v:textbox>{BOX.format(p('old'))}</v:textbox></w:pict></mc:Fallback>"
    assert text_of(p(f"<w:r><mc:AlternateContent>{choice}{fallback}</mc:AlternateContent></w:r>")) == "old"


def test_drawings_charts_and_word_art() -> None:
    shape = "<w:r><w:drawing><a:p><a:r><a:t>drawn</a:t></a:r></a:p></w:drawing></w:r>"
    art = '<w:r><w:pict><v:shape><v:textpath string="DRAFT"/></v:shape></w:pict></w:r>'
    chart = '<w:r><w:drawing><c:chart r:id="chart1"/></w:drawing></w:r>'
    diagram = '<w:r><w:drawing><dgm:relIds r:dm="diagramData1"/></w:drawing></w:r>'
    lost = '<w:r><w:drawing><c:chart r:id="lost"/></w:drawing></w:r>'

    def values(*points: str) -> str:
        return "".join(f"<c:pt><c:v>{point}</c:v></c:pt>" for point in points)

    data = f"<c:tx>{values('Sales')}</c:tx><c:cat>{values('Q1', 'Q2')}</c:cat><c:val>{values('1', '2')}</c:val>"
    text = text_of(
        p(shape + art + chart + diagram + lost + r("text")),
        chart1=xml("c:chartSpace", f"<c:title><a:p><a:r><a:t>Title</a:t></a:r></a:p></c:title><c:ser>{data}</c:ser>"),
        diagramData1=xml("dgm:dataModel", "<dgm:pt><a:p><a:r><a:t>Step</a:t></a:r></a:p></dgm:pt>"),
    )
    assert text == "text\ndrawn\nDRAFT\nTitle\n\tQ1\tQ2\nSales\t1\t2\nStep"


def test_headers_come_first_footers_after_the_body_each_once() -> None:
    references = "".join(
        f'<w:{kind}Reference w:type="{pages}" r:id="{link}"/>'
        for kind, pages, link in (
            ("header", "default", "header1"),
            ("header", "first", "header2"),
            ("header", "even", "header3"),
            ("footer", "default", "footer1"),
        )
    )
    again = f"<w:sectPr>{references}</w:sectPr>"
    members = {name: xml("w:hdr", p(name)) for name in ("header1", "header2", "header3")}
    members["footer1"] = xml("w:ftr", p("Page ") + p())
    body = p("body", again) + p("more") + again
    assert text_of(body, **members) == "header1\nbody\nmore\nPage"
    shown = body.replace("</w:sectPr>", "<w:titlePg/></w:sectPr>", 1)
    settings = xml("w:settings", "<w:evenAndOddHeaders/>")
    assert text_of(shown, settings=settings, **members) == "header1\nheader2\nheader3\nbody\nmore\nPage"


def test_notes_have_a_mark_in_the_text_and_follow_at_the_end() -> None:
    def reference(kind: str, number: int, more: str = "") -> str:
        return f'<w:r><w:{kind}Reference w:id="{number}"{more}/></w:r>'

    body = p(r("A") + reference("footnote", 5) + r(", B") + reference("endnote", 2))
    body += p(r("C") + reference("footnote", 4, ' w:customMarkFollows="1"') + r("*") + reference("footnote", 3))
    body += p(f"<w:del>{reference('footnote', 6)}</w:del>")
    notes = {
        f"{kind}s": xml(
            f"w:{kind}s",
            f'<w:{kind} w:id="0" w:type="separator">{p("<w:r><w:separator/></w:r>")}</w:{kind}>'
            + "".join(
                f'<w:{kind} w:id="{i}">{p(f"<w:r><w:{kind}Ref/></w:r>" + r(f" {kind} {i}"))}{p("more")}</w:{kind}>'
                for i in range(2, 7)
            ),
        )
        for kind in ("footnote", "endnote")
    }
    assert text_of(body, **notes).splitlines() == [
        *("A[1], B[i]", "C*[2]", ""),
        *("[1] footnote 5", "more", "footnote 4", "more", "[2] footnote 3", "more", "[i] endnote 2", "more"),
    ]


def test_headings_are_places_in_any_language() -> None:
    def styled(style: str, text: str) -> str:
        return p(text, f'<w:pStyle w:val="{style}"/>')

    body = styled("berschrift2", "By name") + p("text") + styled("Clause", "By its base") + styled("Part", "By level")
    body += p("By itself", '<w:outlineLvl w:val="3"/>') + p(
        "Body text", '<w:pStyle w:val="Part"/><w:outlineLvl w:val="9"/>'
    )
    body += table(["a", styled("Part", "In a cell")]) + styled("Part", "")
    part = only_part("docx", docx(body, styles=STYLES))
    assert part.text == "By name\ntext\nBy its base\nBy level\nBy itself\nBody text\na\tIn a cell"
    assert part.places[0] == Place("heading", "By name", 0)
    names = ["By name", "By its base", "By level", "By itself", "In a cell"]
    assert [(place.name, at(part, place)) for place in part.places] == [(name, name) for name in names]


def test_a_long_heading_gets_a_short_name() -> None:
    (place,) = only_part("docx", docx(p("word " * 99, '<w:outlineLvl w:val="0"/>'))).places
    assert len(place.name) <= 100
    assert place.name.endswith("word…")


def test_strict_open_xml_says_the_same() -> None:
    usual = docx(p(r("text")), styles=STYLES)
    strict = xml("w:document", f"<w:body>{p('text')}</w:body>").replace(
        "http://schemas.openxmlformats.org/wordprocessingml/2006", "http://purl.oclc.org/ooxml/wordprocessingml"
    )
    rels = links(rId1="officeDocument word/document.xml").replace(
        "http://schemas.openxmlformats.org/officeDocument/2006", "http://purl.oclc.org/ooxml/officeDocument"
    )
    assert "purl" in strict
    assert "purl" in rels
    assert only_part("docx", archive({"_rels/.rels": rels, "word/document.xml": strict})).text == "text"
    assert only_part("docx", usual).text == "text"


def test_the_main_member_may_be_elsewhere_and_others_may_be_missing() -> None:
    document = xml("w:document", f"<w:body>{p('text')}</w:body>")
    rels = links(rId1="officeDocument /story/main.xml")
    broken = links(rId1="styles styles.xml", rId2="numbering ../../../etc/passwd")
    members = {"_rels/.rels": rels, "story/main.xml": document, "story/_rels/main.xml.rels": broken}
    assert only_part("docx", archive(members)).text == "text"
    assert only_part("docx", archive({"word\\document.xml": document})).text == "text"


def test_parts_that_are_files_of_their_own_are_told() -> None:
    part = only_part("docx", docx(p("text") + '<w:altChunk r:id="x"/>' + p("<w:del/>")))
    assert part.text == "text"
    assert (part.note or "").startswith(
        "tracked changes read as if accepted; parts that are files of their own were not"
    )


def test_an_empty_file_says_why_it_has_no_text() -> None:
    part = only_part("docx", docx(p("<w:r><w:drawing/></w:r>")))
    assert (part.text, part.note) == ("", "no text in it, only pictures or nothing at all")


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({}, "word/document.xml is missing"),
        ({"word/document.xml": xml("w:document")}, "no body"),
        ({"word/document.xml": "<w:document"}, "word/document.xml: "),
    ],
)
def test_no_word_file(members: dict[str, str], reason: str) -> None:
    with pytest.raises(Unusable, match=f"a Word document that is damaged .*{reason}.*; open it in Word"):
        only_part("docx", archive({"x": "y"} | members))
