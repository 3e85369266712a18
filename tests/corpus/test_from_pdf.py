import pytest

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


def test_a_number_that_is_no_page_number_stays() -> None:
    page = lines(f"{SENTENCE}。\n{SENTENCE[:20]}。\n2024\n{SENTENCE}。")
    assert read(make_canvas_pdf([page])) == f"{SENTENCE}。{SENTENCE[:20]}。\n2024\n{SENTENCE}。\n"


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
