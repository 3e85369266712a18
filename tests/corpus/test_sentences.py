from hypothesis import given
from hypothesis import strategies as st

from corpus.blocks import is_blank
from corpus.sentences import split_sentences

_MARKS = '。！？；;!?.,、“”‘’"《》（）()【】「」 \n\t\ufeff甲乙a1:'


def _split(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


def test_sentences_end_after_chinese_and_half_width_marks() -> None:
    assert _split("您可以注销。我们会删除;请放心！好吗?好") == [
        "您可以注销。",
        "我们会删除;",
        "请放心！",
        "好吗?",
        "好",
    ]


def test_a_quotation_and_a_book_title_are_never_cut() -> None:
    assert _split("点击“同意。继续”后生效。参见《规则；细则》。") == [
        "点击“同意。继续”后生效。",
        "参见《规则；细则》。",
    ]


def test_brackets_are_never_cut_and_a_closing_mark_stays_with_its_sentence() -> None:
    assert _split("我们收集信息(如姓名;电话)。谢谢。)完") == ["我们收集信息(如姓名;电话)。", "谢谢。)", "完"]


def test_a_mark_that_is_never_closed_holds_nothing_together() -> None:
    assert _split("点击“我的进入。然后注销。") == ["点击“我的进入。", "然后注销。"]


def test_a_straight_quotation_mark_closes_a_curly_one() -> None:
    assert _split('通过“我的-设置。注销"提交。完成。') == ['通过“我的-设置。注销"提交。', "完成。"]


def test_numbers_and_addresses_are_not_cut() -> None:
    text = "1.2 版本3.5见http://a.com/b?c=1;d.html或a.b@c.com。联系我们"
    assert _split(text) == [text[: text.index("。") + 1], "联系我们"]


def test_an_english_sentence_ends_at_a_full_stop_before_a_space() -> None:
    assert _split("We delete data. You may ask. e.g. now") == ["We delete data.", "You may ask.", "e.g. now"]


def test_only_white_space_has_no_sentence() -> None:
    assert split_sentences(" \n\ufeff　") == []


@given(st.text(alphabet=_MARKS, max_size=60))
def test_spans_are_ordered_trimmed_and_hold_every_character(text: str) -> None:
    spans = split_sentences(text)
    covered = [position for start, end in spans for position in range(start, end)]
    assert covered == sorted(set(covered))
    assert {i for i, character in enumerate(text) if not is_blank(character)} <= set(covered)
    assert all(not is_blank(text[start]) and not is_blank(text[end - 1]) for start, end in spans)
