import io
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import docx
import pytest

from corpus.datatypes import Policy
from corpus.formats import SUFFIXES, Limits, UnreadableError, read_bytes, read_file
from corpus.from_text import decode_policy
from corpus.load import default_policies_folder
from corpus.parser import parse_policy

from .made import make_canvas_pdf, make_docx, make_html, make_markdown, make_pdf, make_scan, save_docx

Outline = list[tuple[str, str, tuple[str, ...]]]


def read_seed(app: str) -> str:
    path = default_policies_folder() / f"{app}.txt"
    return decode_policy(path.read_bytes(), name=path.name)


def outline(text: str) -> Outline:
    """Text without white space, label and path of every clause."""
    clauses = parse_policy(Policy(app="某某", text=text)).clauses
    return [(bare(clause.text), clause.label, tuple(map(bare, clause.path))) for clause in clauses]


def bare(text: str) -> str:
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize("app", ["津心办", "口袋证件照", "掌上海关", "汇容客", "昶联"])
@pytest.mark.parametrize(
    ("suffix", "make"),
    [(".md", make_markdown), (".html", make_html), (".docx", make_docx), (".pdf", make_pdf)],
)
def test_a_policy_gives_the_same_clauses_in_every_format(
    app: str, suffix: str, make: Callable[[Sequence[str]], bytes]
) -> None:
    text = read_seed(app)
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    assert outline(read_bytes(make(lines), suffix)) == outline(text)


def test_a_text_file_is_its_text() -> None:
    text = read_seed("津心办")
    assert read_bytes(text.encode("gb18030"), ".TXT") == text


def test_a_pdf_without_indented_paragraphs_gives_the_same_clauses() -> None:
    text = read_seed("津心办")
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    assert outline(read_bytes(make_pdf(lines, indent=0), ".pdf")) == outline(text)


def test_spaces_that_differ_between_formats_are_those_at_the_ends_of_lines_of_a_pdf() -> None:
    text = read_seed("津心办")
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    wanted = [re.sub(r"\s+", " ", line) for line in lines]
    for suffix, data in ((".md", make_markdown(lines)), (".html", make_html(lines)), (".docx", make_docx(lines))):
        read = [re.sub(r"\s+", " ", line) for line in read_bytes(data, suffix).split("\n") if line.strip()]
        assert [line for line in wanted if line not in read] == [], suffix
    read = [re.sub(r"\s+", " ", line) for line in read_bytes(make_pdf(lines), ".pdf").split("\n") if line]
    different = [line for line in wanted if line not in read]
    assert len(different) <= 3 and {bare(line) for line in different} <= {bare(line) for line in read}


@pytest.mark.parametrize("suffix", [".txt", ".md", ".html", ".docx", ".pdf"])
@pytest.mark.parametrize("data", [b"", b" \r\n"])
def test_an_empty_file_is_said_to_be_empty(suffix: str, data: bytes) -> None:
    with pytest.raises(UnreadableError, match=r"^empty \(\d bytes\)"):
        read_bytes(data, suffix)


@pytest.mark.parametrize("suffix", [".txt", ".md"])
def test_binary_junk_is_no_text(suffix: str) -> None:
    with pytest.raises(UnreadableError, match=r"^binary data|^\d+ bytes in an unknown encoding"):
        read_bytes(bytes(range(256)) * 8, suffix)


@pytest.mark.parametrize(
    ("suffix", "data", "reason"),
    [
        (".docx", bytes(range(256)) * 8, "named .docx, but it is no Word document"),
        (".pdf", bytes(range(256)) * 8, "named .pdf, but it is no PDF"),
        (".pdf", b"%PDF-1.7\n" + bytes(range(256)) * 8, "not a PDF that can be read"),
        (".docx", b"PK\x03\x04" + bytes(range(256)) * 8, "a damaged archive"),
        (".html", b"%PDF-1.7 text", "named .html, but it is a .pdf file; give it its right name"),
        (".txt", b"PK\x03\x04text", "named .txt, but it is a .docx or .zip file"),
        (".docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "an old Word file (.doc) or an encrypted one"),
        (".rtf", b"{\\rtf1}", "the format .rtf is not read; allowed: .txt .md .html .htm .docx .pdf"),
        ("", b"text", "the format without a suffix is not read"),
    ],
)
def test_a_file_of_another_kind_is_named_as_what_it_is(suffix: str, data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError, match=re.escape(reason)):
        read_bytes(data, suffix)


def test_a_zip_that_is_no_word_document_is_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.txt", "您好")
    with pytest.raises(UnreadableError, match="not a Word document that can be read"):
        read_bytes(stream.getvalue(), ".docx")


def test_a_word_file_that_unpacks_to_too_much_is_refused_before_it_is_unpacked() -> None:
    stream = io.BytesIO(make_docx(["您好。"]))
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/media/image1.bin", bytes(42 << 20))
    assert len(stream.getvalue()) < 200_000
    with pytest.raises(UnreadableError, match=r"unpacks to 4[23] MiB; allowed are 20 MiB"):
        read_bytes(stream.getvalue(), ".docx", limits=Limits(unpacked_mib=20))


def test_a_word_file_whose_text_unpacks_to_more_than_the_memory_is_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(make_docx(["您好。"]))) as whole, zipfile.ZipFile(stream, "w", 8) as archive:
        for entry in whole.infolist():
            content = whole.read(entry)
            if entry.filename == "word/document.xml":
                content = content.replace("您好。".encode(), b"a" * (80 << 20))
            archive.writestr(entry.filename, content)
    with pytest.raises(UnreadableError, match="more than 180 MiB of memory"):
        read_bytes(stream.getvalue(), ".docx", limits=Limits(memory_mib=180))


@pytest.mark.parametrize(
    ("part", "old", "new"),
    [
        ("word/document.xml", b"w:body", b"w:none"),
        ("word/document.xml", b"<w:tcPr>", b'<w:tcPr><w:gridSpan w:val="x"/>'),
        ("word/numbering.xml", b'w:start w:val="1"', b'w:start w:val="x"'),
        ("word/numbering.xml", b'w:ilvl="0"', b'w:ilvl="x"'),
        ("word/styles.xml", b"</w:styles>", b""),
    ],
)
def test_a_damaged_word_file_is_refused_in_words_for_people(part: str, old: bytes, new: bytes) -> None:
    document = docx.Document()
    document.add_table(1, 2).cell(0, 0).text = "甲"
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(save_docx(document))) as whole, zipfile.ZipFile(stream, "w") as archive:
        for entry in whole.infolist():
            content = whole.read(entry)
            if entry.filename == part:
                assert old in content
                content = content.replace(old, new)
            archive.writestr(entry.filename, content)
    reason = "not a Word document that can be read; open it in Word and save it as .docx again"
    with pytest.raises(UnreadableError, match=f"^{re.escape(reason)}$"):
        read_bytes(stream.getvalue(), ".docx")


def test_control_characters_are_no_text_of_a_page_or_a_document() -> None:
    assert read_bytes("<p>甲&#27;[2J乙丙&#7;&#9;丁</p>".encode(), ".html") == "甲[2J乙丙 丁\n"
    with pytest.raises(UnreadableError, match="no text in it but control characters"):
        read_bytes(b"<p>&#27;&#7;</p>", ".html")
    with pytest.raises(UnreadableError, match=r"^binary data \(character '\\x1b'"):
        read_bytes("甲\x1b[2J".encode(), ".md")
    assert read_bytes("甲&#27;[2J&#7;".encode(), ".md") == "甲[2J"
    page = make_canvas_pdf([[(72, 700, "Privacy policy\x1b[2J of this application")]])
    assert "\x1b" not in read_bytes(page, ".pdf")


def test_a_pdf_with_too_many_pages_is_refused() -> None:
    with pytest.raises(UnreadableError, match="the PDF has 3 pages; allowed are 2"):
        read_bytes(make_scan(3), ".pdf", limits=Limits(pages=2))


def test_a_scan_says_that_it_is_one() -> None:
    with pytest.raises(UnreadableError, match=r"the PDF is a scan: .* text recognition"):
        read_bytes(make_scan(), ".pdf")


def test_an_encrypted_pdf_says_so() -> None:
    with pytest.raises(UnreadableError, match="the PDF is encrypted; take off its password"):
        read_bytes(make_pdf(["您好。"], password="secret"), ".pdf")


def test_reading_ends_at_the_time_limit() -> None:
    page = b"<div>" + b"<p>x <b>y</b></p>" * 1_000_000 + b"</div>"
    start = time.monotonic()
    with pytest.raises(UnreadableError, match="reading took longer than 1 seconds"):
        read_bytes(page, ".html", limits=Limits(seconds=1))
    assert time.monotonic() - start < 10


def test_reading_ends_at_the_memory_limit() -> None:
    page = b"<div>" + b"<p>x <b>y</b></p>" * 1_000_000 + b"</div>"
    with pytest.raises(UnreadableError, match="more than 200 MiB"):
        read_bytes(page, ".html", limits=Limits(memory_mib=200))


def test_a_file_or_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(UnreadableError, match=r"larger than 0\.5 MiB"):
        read_bytes(b"a" * 600_000, ".txt", limits=Limits(file_mib=0.5))
    with pytest.raises(UnreadableError, match="1200 characters of text; allowed are 1000"):
        read_bytes(b"a" * 1200, ".txt", limits=Limits(characters=1000))


def test_a_file_is_read_from_its_path(tmp_path: Path) -> None:
    path = tmp_path / "甲.HTM"
    path.write_bytes("<p>一、总则</p><p>您好。</p>".encode())
    assert read_file(path) == "一、总则\n您好。\n"
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "absent.pdf")


def test_the_process_that_reads_loads_nothing_heavy() -> None:
    code = (
        "import sys, corpus.formats, corpus.from_html, corpus.from_docx, corpus.from_pdf, corpus.from_text\n"
        "from lxml import etree\nimport docx, pypdfium2\n"
        "print(*{'torch', 'numpy', 'transformers', 'faiss', 'jieba', 'gradio', 'PIL'} & set(sys.modules))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_suffixes_are_those_that_the_project_promises() -> None:
    assert SUFFIXES == (".txt", ".md", ".html", ".htm", ".docx", ".pdf")
