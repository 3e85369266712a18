import io

import docx
import pytest
from docx.document import Document
from docx.enum.text import WD_BREAK
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from PIL import Image

from corpus.from_docx import read_docx

from .made import save_docx


def add_list(document: Document, levels: list[tuple[str, str]], *, override: int | None = None) -> str:
    """Define an automatic list, (numFmt, lvlText) by depth; return its numId."""
    numbering = document.part.numbering_part.element
    key = str(900 + len(numbering.findall("{*}abstractNum")))
    inside = "".join(
        f'<w:lvl w:ilvl="{depth}"><w:start w:val="1"/><w:numFmt w:val="{style}"/><w:lvlText w:val="{text}"/></w:lvl>'
        for depth, (style, text) in enumerate(levels)
    )
    numbering.insert(0, parse_xml(f'<w:abstractNum {nsdecls("w")} w:abstractNumId="{key}">{inside}</w:abstractNum>'))
    return add_number(document, key, override)


def add_number(document: Document, abstract: str, override: int | None) -> str:
    numbering = document.part.numbering_part.element
    key = str(900 + len(numbering.findall("{*}num")))
    start = f'<w:lvlOverride w:ilvl="0"><w:startOverride w:val="{override}"/></w:lvlOverride>' if override else ""
    xml = f'<w:num {nsdecls("w")} w:numId="{key}"><w:abstractNumId w:val="{abstract}"/>{start}</w:num>'
    numbering.append(parse_xml(xml))
    return key


def add_item(document: Document, text: str, number_id: str, depth: int = 0) -> None:
    properties = document.add_paragraph(text)._p.get_or_add_pPr()
    xml = f'<w:numPr {nsdecls("w")}><w:ilvl w:val="{depth}"/><w:numId w:val="{number_id}"/></w:numPr>'
    properties.append(parse_xml(xml))


def read(document: Document) -> list[str]:
    return read_docx(save_docx(document)).split("\n")[:-1]


def test_automatic_numbers_are_written_out_in_chinese_and_start_again_below_each_heading() -> None:
    document = docx.Document()
    key = add_list(
        document,
        [
            ("chineseCountingThousand", "%1、"),
            ("chineseCounting", "（%2）"),
            ("decimal", "%3."),
            ("lowerLetter", "%4)"),
        ],
    )
    for text, depth in [("总则", 0), ("定义", 1), ("甲", 2), ("乙", 2), ("丙", 3), ("范围", 1), ("丁", 2), ("权利", 0)]:
        add_item(document, text, key, depth)
    assert read(document) == ["一、总则", "（一）定义", "1. 甲", "2. 乙", "a) 丙", "（二）范围", "1. 丁", "二、权利"]


def test_numbers_of_several_levels_bullets_and_a_list_that_starts_elsewhere() -> None:
    document = docx.Document()
    key = add_list(document, [("decimal", "%1"), ("decimal", "%1.%2"), ("bullet", "\uf06c")])
    for text, depth in [("总则", 0), ("甲", 1), ("乙", 1), ("丙", 2)]:
        add_item(document, text, key, depth)
    document.add_paragraph("中间")
    abstract = document.part.numbering_part.element.findall("{*}num")[-1].find("{*}abstractNumId")
    add_item(document, "丁", add_number(document, abstract.get(abstract.keys()[0]), 5))
    assert read(document) == ["1 总则", "1.1 甲", "1.2 乙", "• 丙", "中间", "5 丁"]


def test_the_number_of_a_style_counts_as_well() -> None:
    document = docx.Document()
    for text in ("甲", "乙"):
        document.add_paragraph(text, style="List Number")
    document.add_paragraph("丙", style="List Bullet")
    assert read(document) == ["1. 甲", "2. 乙", "• 丙"]


def test_paragraphs_and_tables_come_in_the_order_of_the_body() -> None:
    document = docx.Document()
    document.add_heading("一、总则", 1)
    table = document.add_table(3, 2)
    for row, texts in enumerate([("名称", "用途"), ("友盟", "推送"), ("", "统计")]):
        for column, text in enumerate(texts):
            table.cell(row, column).text = text
    table.cell(1, 0).merge(table.cell(2, 0))
    table.cell(1, 1).add_paragraph("和分享")
    document.add_paragraph("二、权利")
    assert read(document) == ["一、总则", "名称\t用途", "友盟\t推送和分享", "友盟\t统计", "二、权利"]


def test_what_is_no_text_of_the_policy_is_left_out() -> None:
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "机密"
    document.sections[0].footer.paragraphs[0].text = "1"
    paragraph = document.add_paragraph("我们收集")
    paragraph._p.append(parse_xml(f'<w:del {nsdecls("w")} w:id="1"><w:r><w:delText>您的位置</w:delText></w:r></w:del>'))
    paragraph._p.append(parse_xml(f'<w:ins {nsdecls("w")} w:id="2"><w:r><w:t>手机号码</w:t></w:r></w:ins>'))
    hidden = paragraph.add_run("隐藏")
    hidden.font.hidden = True
    last = paragraph.add_run("。")
    document.add_comment(last, text="这里要改", author="甲", initials="甲")
    last.add_break(WD_BREAK.LINE)
    paragraph.add_run("第二行")
    assert read(document) == ["我们收集手机号码。", "第二行"]


def test_a_paragraph_whose_end_was_deleted_goes_on_in_the_next() -> None:
    document = docx.Document()
    first = document.add_paragraph("我们收集")
    mark = parse_xml(f'<w:rPr {nsdecls("w")}><w:del w:id="1"/></w:rPr>')
    first._p.get_or_add_pPr().append(mark)
    document.add_paragraph("手机号码。")
    assert read(document) == ["我们收集手机号码。"]


def test_a_word_file_without_text_says_whether_it_has_pictures() -> None:
    document = docx.Document()
    with pytest.raises(ValueError, match="no text in the Word document; it is empty"):
        read(document)
    picture = io.BytesIO()
    Image.new("L", (9, 9)).save(picture, "png")
    picture.seek(0)
    document.add_picture(picture)
    with pytest.raises(ValueError, match=r"only pictures: text recognition \(OCR\) is needed first"):
        read(document)
