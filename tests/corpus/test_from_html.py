import pytest
from lxml import etree

from corpus.from_html import find_missing, read_html

CLAUSE = "我们会收集您的手机号码，用于注册账号。"


def read(body: str) -> str:
    return read_html(f"<html><head><meta charset=utf-8></head><body>{body}</body></html>".encode())


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<ol start=3><li>甲<li>乙</ol>", "3. 甲\n4. 乙\n"),
        ("<ol><li>甲<ol type=a><li>乙<li value=4>丙</ol><li>丁</ol>", "1. 甲\na. 乙\nd. 丙\n2. 丁\n"),
        ("<ol reversed><li>甲<li>乙</ol>", "2. 甲\n1. 乙\n"),
        ("<ol type=I><li><p>甲</p></li><li><p>乙</p></li></ol>", "I. 甲\nII. 乙\n"),
        ("<ol style='list-style-type: cjk-ideographic'><li>甲<li>乙</ol>", "一、甲\n二、乙\n"),
        ("<ol style='list-style:none'><li>甲<li>乙</ol>", "甲\n乙\n"),
        ("<ol><li>1、甲<li>2、乙</ol>", "1、甲\n2、乙\n"),
        ("<ul><li>甲<li>- 乙<li>(1)丙</ul>", "• 甲\n- 乙\n(1)丙\n"),
        ("<h2>一、总则</h2>甲<b>乙</b><i>丙</i><br>丁<div>戊</div>己", "一、总则\n甲乙丙\n丁\n戊\n己\n"),
        ("<p>甲&nbsp; 乙\n  丙\n丁 AND\nOR</p>", "甲 乙丙丁 AND OR\n"),
        ("<pre>甲\n乙</pre><textarea>丙\n丁</textarea>", "甲\n乙\n丙\n丁\n"),
        (
            "<table><caption>SDK目录</caption><tr><th>名称<th>用途"
            "<tr><td rowspan=2>友盟<td><p>推送</p><p>统计</p><tr><td>分享</table>",
            "SDK目录\n名称\t用途\n友盟\t推送统计\n友盟\t分享\n",
        ),
        ("<table><tr><td><h1>隐私政策</h1><p>甲</p></td><td>乙</td></tr></table>", "隐私政策\n甲\n乙\n"),
        ("<p>甲<button>展开</button>乙<i hidden>丙</i></p><ol><li>丁</ol>", "甲展开乙丙\n1. 丁\n"),
        ("<p><i hidden>丙</i>甲</p><p>乙</p><ol><li>丁</ol>", "甲\n乙\n1. 丁\n"),
        ("<details><summary>一、总则</summary><p>甲</p></details>", "一、总则\n甲\n"),
    ],
)
def test_a_page_is_read_as_a_browser_shows_it(body: str, text: str) -> None:
    assert read(body) == text


@pytest.mark.parametrize(
    "beside",
    [
        "<nav><a href=/a>首页</a></nav>",
        "<header><a href=/>某某网</a></header>",
        "<footer><a href=/b>关于我们</a><p>版权所有 © 某某公司 京ICP备1号</p></footer>",
        "<div class='site-footer'><a href=/b>关于我们</a></div>",
        "<div role=navigation>首页</div>",
        "<div class='cookie-bar'>我们使用Cookie来改善您的体验，继续浏览即表示同意。<a href=#>接受</a></div>",
        "<script>var a='我们会收集您的信息。'</script><style>p{}</style><noscript>请打开脚本。</noscript>",
        "<div style='display: none'>会话超时，请重新登录您的账号。</div>",
        "<ul><li><a href=/1>新闻中心</a><li><a href=/2>产品中心</a><li><a href=/3>下载中心</a></ul>",
        "<div class=dialog role=dialog>您确定要离开本页面吗？<button>取消</button></div>",
    ],
)
def test_what_surrounds_the_policy_goes(beside: str) -> None:
    assert read(f"{beside}<div><p>{CLAUSE}</p></div>") == f"{CLAUSE}\n"
    assert read(f"<main><p>{CLAUSE}</p></main>{beside}") == f"{CLAUSE}\n"


@pytest.mark.parametrize(
    "body",
    [
        f"<main><p>{'其他条款。' * 30}</p></main><div><p>{CLAUSE}</p></div>",
        f"<p>甲</p><footer><p>{CLAUSE}</p></footer>",
        f"<p>甲</p><aside><p>{CLAUSE}</p></aside>",
        f"<div class='nav-menu'><p>{CLAUSE}</p></div>",
        f"<div class='cookie-policy'><p>{CLAUSE}</p></div>",
        f"<form id=aspnetForm><div class=header><p>{CLAUSE}</p></div></form>",
        f"<div style='display:none'><p>{CLAUSE * 12}</p></div><h2>一、总则</h2>",
        f"<article>甲</article><article>乙</article><section><header><p>{CLAUSE}</p></header></section>",
    ],
)
def test_a_clause_stays_wherever_on_the_page_it_stands(body: str) -> None:
    assert CLAUSE in read(body)


def test_a_numbered_heading_in_a_menu_of_the_page_itself_stays() -> None:
    page = "<div class=header>一、我们如何收集信息</div><p>甲</p>"
    assert read(page) == "一、我们如何收集信息\n甲\n"


def test_what_is_missing_is_found_apart_from_the_reader() -> None:
    root = etree.fromstring(f"<html><body><nav><p>{CLAUSE}</p></nav><p>甲</p></body></html>", etree.HTMLParser())
    assert find_missing(root, "甲") == (CLAUSE,)
    assert find_missing(root, f"甲\n{CLAUSE[:8]} {CLAUSE[8:]}") == ()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            "<p>一、总则</p><div id=share><h2>信息共享</h2><p>我们会与以下第三方共享您的信息：</p>"
            "<ul><li>微信支付</li><li>支付宝</li></ul></div>",
            "一、总则\n信息共享\n我们会与以下第三方共享您的信息：\n• 微信支付\n• 支付宝\n",
        ),
        (
            f"<div class='section-header'><h2>信息收集</h2></div><p>{CLAUSE}</p><div class='card-header'>信息共享</div>"
            f"<p>{CLAUSE}</p><header><h2>如何注销账号</h2></header><p>{CLAUSE}</p>",
            f"信息收集\n{CLAUSE}\n信息共享\n{CLAUSE}\n如何注销账号\n{CLAUSE}\n",
        ),
        (
            f"<article><p>{CLAUSE * 3}</p></article><div><p>我们会收集以下信息：</p><p>姓名</p><p>手机号码</p>"
            "<p>电话：95588</p><a href=/x>某某网首页</a></div>",
            f"{CLAUSE * 3}\n我们会收集以下信息：\n姓名\n手机号码\n电话：95588\n",
        ),
        (
            f"<main><p>{CLAUSE}</p><aside><ul><li>姓名</li><li>手机号码</li></ul></aside></main>",
            f"{CLAUSE}\n• 姓名\n• 手机号码\n",
        ),
        (
            f"<footer><p>{CLAUSE}</p><p>驾驶许可证</p><a href=/x>某某网首页</a><p>版权所有 © 某某公司</p></footer>",
            f"{CLAUSE}\n驾驶许可证\n",
        ),
    ],
)
def test_a_block_that_holds_a_clause_or_a_heading_keeps_its_short_lines(body: str, text: str) -> None:
    assert read(body) == text


def test_short_lines_that_are_missing_are_found() -> None:
    page = (
        f"<html><body><nav><a href=/>首页</a></nav><h2>姓名</h2><p>{CLAUSE}</p><ol><li>姓名<li>性别</ol>"
        "<table><tr><td><p>推送</p><p>统计</p><td>丙</table><pre>丁\n戊</pre><footer>© 某某公司</footer>"
    )
    root = etree.fromstring(page, etree.HTMLParser())
    assert find_missing(root, f"姓名\n{CLAUSE}\n1. 姓名\n2. 性别\n推送统计\t丙\n丁\n戊\n") == ()
    assert find_missing(root, f"{CLAUSE}\n1. 姓名\n2. 性别别\n推送统计\t丙\n丁\n戊\n") == ("姓名", "姓名", "性别")


def test_a_page_whose_end_is_cut_off_for_its_depth_is_refused() -> None:
    with pytest.raises(ValueError, match="nested too deeply: tags that are never closed"):
        read("".join(f"<p>第{number}条内容如下。<span>" for number in range(2000)))
    assert read("".join(f"<p>第{number}条内容如下。<span>" for number in range(900))).count("内容如下") == 900


def test_a_page_nested_more_deeply_than_any_loses_nothing() -> None:
    assert CLAUSE in read("<div>" * 1500 + CLAUSE + "</div>" * 1500)


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ("<meta charset=gb2312>", "gb18030"),
        ("<meta http-equiv=Content-Type content='text/html; charset=GBK'>", "gb18030"),
        ("<meta charset=big5>", "big5"),
        ("", "utf-8"),
        ("", "utf-8-sig"),
        ("", "utf-16"),
        ("", "gb18030"),
        ("<meta charset=x-unknown>", "utf-8"),
    ],
)
def test_the_charset_is_the_pages_own(head: str, encoding: str) -> None:
    text = "我們收集手機號碼。" if encoding == "big5" else CLAUSE
    assert read_html(f"<html><head>{head}</head><body><p>{text}</p>".encode(encoding)) == f"{text}\n"


def test_a_page_that_a_script_fills_says_how_to_save_it() -> None:
    with pytest.raises(ValueError, match="its text is made by a script: save the page again once it is shown"):
        read("<div id=app></div><script src=/app.js></script>")
    with pytest.raises(ValueError, match="no text on the page; it is empty"):
        read("<div></div>")
