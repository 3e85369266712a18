import io
from collections.abc import Callable, Sequence

import pytest
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from corpus.from_pdf import read_pdf

from .made import make_canvas_pdf, make_pdf, make_scan, make_table_pdf

SENTENCE = "我们会收集您的手机号码用于注册账号并且保护您的信息安全"  # 27 characters, 270 points wide


def read(data: bytes) -> str:
    return read_pdf(data, max_pages=100)


def lines(text: str, *, x: float = 72, top: float = 760, pitch: float = 15) -> list[tuple[float, float, str]]:
    return [(x, top - pitch * i, line) for i, line in enumerate(text.split("\n"))]


def test_the_lines_of_a_paragraph_are_joined_and_paragraphs_stay_apart() -> None:
    page = lines(f"一、总则\n{SENTENCE}\n{SENTENCE}\n。\n1.{SENTENCE}\n(完)\n2.短。\n3.短。")
    assert read(make_canvas_pdf([page])) == f"一、总则\n{SENTENCE}{SENTENCE}。\n1.{SENTENCE}(完)\n2.短。\n3.短。\n"


def test_latin_words_are_parted_by_a_space_and_hyphenation_goes() -> None:
    text = (
        "We collect information about your phone so that the infor-\n"
        "mation is safe, and privacy-related settings remain as you\n"
        "have chosen them; see https://example.com/policy/privacy-\n"
        "policy.html for more about what is collected from you and\n"
        "why."
    )
    assert read(make_canvas_pdf([lines(text)])) == (
        "We collect information about your phone so that the information is safe, and privacy-related settings remain"
        " as you have chosen them; see https://example.com/policy/privacy-policy.html for more about what is collected"
        " from you and why.\n"
    )


def test_page_numbers_and_running_lines_go_and_a_paragraph_goes_on_over_the_page() -> None:
    pages = [
        [(72, 800, "某某公司隐私政策"), *lines(f"{a}{SENTENCE[1:]}\n{b}{SENTENCE[1:]}"), (290, 40, f"{number} / 3")]
        for number, (a, b) in enumerate(("甲乙", "丙丁", "戊己"), start=1)
    ]
    assert read(make_canvas_pdf(pages)) == "".join(mark + SENTENCE[1:] for mark in "甲乙丙丁戊己") + "\n"


def test_a_running_line_that_counts_the_pages_goes_and_lines_that_differ_otherwise_stay() -> None:
    pages = [
        [(72, 800, f"某某公司隐私政策 第{n}页"), (72, 760, f"{n * n}.短。"), (72, 740, "我们收集您的手机号码。")]
        for n in (1, 2, 3)
    ]
    expected = [line for n in (1, 4, 9) for line in (f"{n}.短。", "我们收集您的手机号码。")]
    assert read(make_canvas_pdf(pages)).split("\n")[:-1] == expected


# What Chromium draws over a page after its text, a glyph at a time: the text reaches into the margins.

NUMERALS = ("i", "ii", "iii", "iv")
Note = tuple[float, float, float, str]


def mark_lines(pages: int, *, last: str) -> list[str]:
    """Bodies of four lines, each line of the same length and none twice; ``last`` is the end of the fourth."""
    marks = [chr(ord("一") + 40 * index) for index in range(4 * pages)]
    rows = [f"{mark}{SENTENCE[1:]}" if (index + 1) % 4 else f"{mark}{last}" for index, mark in enumerate(marks)]
    return ["\n".join(rows[4 * page : 4 * page + 4]) for page in range(pages)]


def print_pages(bodies: Sequence[str], notes: Callable[[int], Sequence[Note]], *, title: str = "") -> bytes:
    """Pages whose last line stands 18 points above the foot; then notes at x, y in a size: ``notes`` takes the page."""
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=(595, 842))
    canvas.setTitle(title)
    for number, body in enumerate(bodies, start=1):
        rows = body.split("\n")
        places = [(72.0, 822.0 - 15 * i, 10.0, row) for i, row in enumerate(rows[: len(rows) // 2])]
        places += [(72.0, 18.0 + 15 * i, 10.0, row) for i, row in enumerate(reversed(rows[len(rows) // 2 :]))]
        for x, y, size, text in (*places, *notes(number)):
            for letter in text:
                canvas.setFont("STSong-Light", size)
                canvas.drawString(x, y, letter)
                x += pdfmetrics.stringWidth(letter, "STSong-Light", size)
        canvas.showPage()
    canvas.save()
    return stream.getvalue()


@pytest.mark.parametrize("x", [20.0, 72.0, 197.0, 335.0, 540.0])
@pytest.mark.parametrize("y", [19.5, 823.0])
@pytest.mark.parametrize("form", ["{}", "第 {} 页 共 4 页", "{} / 4", "- {} -", "Page {} of 4", "roman"])
def test_a_page_number_drawn_over_the_text_goes(form: str, x: float, y: float) -> None:
    bodies = mark_lines(4, last=SENTENCE[1:])
    data = print_pages(bodies, lambda n: [(x, y, 7, NUMERALS[n - 1] if form == "roman" else form.format(n))])
    assert read(data).replace("\n", "") == "".join(bodies).replace("\n", "")


def test_page_numbers_in_the_size_of_the_text_go_from_between_its_letters() -> None:
    bodies = mark_lines(3, last=f"{SENTENCE[1:12]}。")
    text = read(print_pages(bodies, lambda n: [(190, 20, 10, f"第 {n} 页")]))
    assert text.replace("\n", "") == "".join(bodies).replace("\n", "")


@pytest.mark.parametrize("pages", [1, 2, 5])
def test_what_a_browser_prints_round_the_pages_goes(pages: int) -> None:
    def notes(number: int) -> Sequence[Note]:
        return [
            (20, 826, 6.5, "2026/11/22 08:35"),
            (200, 826, 6.5, "某某隐私政策"),
            (20, 15, 6.5, "https://example.com/privacy?id=7"),
            (550, 15, 6.5, f"{number}/{pages}"),
        ]

    bodies = mark_lines(pages, last=f"{SENTENCE[1:20]}。")
    text = read(print_pages(bodies, notes, title="某某隐私政策"))
    assert text.replace("\n", "") == "".join(bodies).replace("\n", "")


def test_a_running_title_drawn_between_the_first_two_lines_goes() -> None:
    bodies = mark_lines(3, last=f"{SENTENCE[1:20]}。")
    text = read(print_pages(bodies, lambda n: [(150, 814, 7, "某某公司隐私政策")]))
    assert text.replace("\n", "") == "".join(bodies).replace("\n", "")


def test_numbers_of_clauses_at_the_edges_of_pages_stay() -> None:
    bodies = [f"5.{n} 客户服务\n{n}.\n{SENTENCE}。\n{n + 7}." for n in (1, 2, 3, 4)]
    text = read(print_pages(bodies, lambda n: [(300, 19, 7, f"{n}")]))
    assert text == "\n".join(bodies) + "\n"


def test_a_bare_number_at_the_foot_stays_where_the_page_numbers_are_others() -> None:
    bodies = [f"{n * n}\n我们会答复。\n{SENTENCE}\n。\n{m}" for n, m in ((1, 3), (2, 2), (3, 7), (4, 9))]
    text = read(print_pages(bodies, lambda n: [(300, 19, 7, f"{n} / 4")]))
    assert text == "\n".join(bodies).replace("\n。", "。") + "\n"


def test_a_number_that_is_no_page_number_stays() -> None:
    page = lines(f"{SENTENCE}。\n{SENTENCE[:20]}。\n2024\n{SENTENCE}。")
    assert read(make_canvas_pdf([page])) == f"{SENTENCE}。{SENTENCE[:20]}。\n2024\n{SENTENCE}。\n"


def test_a_quoted_name_and_the_latin_word_after_it_are_not_parted() -> None:
    full = [f"{mark}{SENTENCE}在掌上海关" for mark in "甲乙丙丁戊己"]
    page = lines("\n".join([*full, f"庚{SENTENCE}", "关”Application的使用。"]))
    assert read(make_canvas_pdf([page])) == f"{''.join(full)}庚{SENTENCE}关”Application的使用。\n"


def test_opening_marks_that_lie_over_each_other_keep_the_order_in_which_they_were_drawn() -> None:
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=(595, 842))
    for x, letter in ((72, "查"), (84, "阅"), (96, "“"), (95.3, "《"), (107.3, "隐"), (119.3, "私"), (131.3, "》")):
        canvas.setFont("Helvetica" if letter == "“" else "STSong-Light", 12)
        canvas.drawString(x, 740, letter)
    canvas.save()
    assert read(stream.getvalue()) == "查阅“《隐私》\n"


def test_two_columns_are_read_one_after_the_other() -> None:
    left = [f"左{SENTENCE[:20]}"] * 11 + ["左完。"]
    right = [f"右{SENTENCE[:20]}"] * 11 + ["右完。"]
    page = [
        (250, 790, "隐私政策"),
        *[
            pair
            for both in zip(lines("\n".join(left), x=60), lines("\n".join(right), x=310), strict=True)
            for pair in both
        ],
    ]
    assert read(make_canvas_pdf([page])) == f"隐私政策\n{''.join(left)}\n{''.join(right)}\n"


def test_the_cells_of_a_row_stand_on_one_line() -> None:
    page = [
        (x, y, text)
        for y, row in ((760, "名称 用途"), (740, "友盟 统计"))
        for x, text in zip((72, 300), row.split(), strict=True)
    ]
    assert read(make_canvas_pdf([page])) == "名称\t用途\n友盟\t统计\n"


def test_a_row_of_a_ruled_table_is_one_line_and_its_head_comes_once() -> None:
    rows = [("名称", "目的", "信息")]
    rows += [(f"友盟{n}SDK", f"消息推送和统计分析以及优化{n}", f"设备标识、位置信息和网络状态{n}") for n in range(60)]
    text = read(make_table_pdf(rows, widths=(80, 80, 100)))
    assert text == "\n".join(["我们接入的第三方SDK如下：", *map("\t".join, rows), "完。"]) + "\n"


def test_a_gap_between_paragraphs_parts_them_where_the_lines_are_full() -> None:
    page = [*lines(f"{SENTENCE}\n{SENTENCE}"), *lines(f"{SENTENCE}\n{SENTENCE}", top=705)]
    assert read(make_canvas_pdf([page])) == f"{SENTENCE * 2}\n{SENTENCE * 2}\n"


def test_pages_that_are_pictures_are_named() -> None:
    with pytest.raises(ValueError, match=r"^the PDF is a scan"):
        read(make_scan(1))


def test_a_pdf_without_text_or_with_a_password_or_cut_off_says_so() -> None:
    with pytest.raises(ValueError, match=r"^no text in the PDF"):
        read(make_canvas_pdf([[]]))
    with pytest.raises(ValueError, match=r"^the PDF is encrypted"):
        read(make_pdf(["您好。"], password="x"))
    with pytest.raises(ValueError, match=r"^not a PDF that can be read"):
        read(make_pdf(["您好。"])[:200])
