"""A policy's text as files of other formats, as programs make them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape

import docx
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph, SimpleDocTemplate, Table

PAGE_TOP = (
    "<!doctype html><html lang=zh><head><meta charset=utf-8><title>隐私政策 - 某某网</title>"
    "<style>p{margin:0}</style><script>var a = '我们会收集您的位置信息。';</script></head><body>"
    "<header class=site-header><a href=/>某某网</a><nav><ul><li><a href=/>首页</a><li><a href=/p>产品</a>"
    "<li><a href=/u>关于我们</a></ul></nav></header>"
    "<div class=breadcrumb><a href=/>首页</a> &gt; <a href=/law>法律</a> &gt; 隐私政策</div>"
)
PAGE_FOOT = (
    "<div id=cookie-banner>我们使用Cookie来改善您的体验。继续浏览即表示您同意。<button>接受全部</button></div>"
    "<footer><a href=/a>关于</a><a href=/j>加入我们</a><p>版权所有 © 2024 某某公司 京ICP备12345678号</p></footer>"
    "<script>track('您可以通过设置关闭位置权限。')</script></body></html>"
)


def make_html(lines: Sequence[str]) -> bytes:
    """A page with all that surrounds a policy on a site."""
    body = "".join(_paragraph(line) for line in lines)
    return f"{PAGE_TOP}<div class='content'>{body}</div>{PAGE_FOOT}".encode()


def _paragraph(line: str) -> str:
    tag = "h2" if len(line) < 20 else "p"
    half = len(line) // 2
    return f"<{tag}>{escape(line[:half])}<span><b>{escape(line[half:])}</b></span></{tag}>\n"


def make_markdown(lines: Sequence[str]) -> bytes:
    """Headings with #, every other short line in bold, a blank line after each."""
    marked = []
    for line in lines:
        is_bold = 20 <= len(line) < 40 and "*" not in line
        marked.append(f"## {line}" if len(line) < 20 else f"**{line}**" if is_bold else line)
    return "\n\n".join(marked).encode()


def make_docx(lines: Sequence[str]) -> bytes:
    """A Word file with page headers and footers."""
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "某某公司 机密"
    document.sections[0].footer.paragraphs[0].text = "第 1 页"
    for line in lines:
        paragraph = document.add_paragraph()
        paragraph.add_run(line[:5]).bold = True
        paragraph.add_run(line[5:])
    return save_docx(document)


def save_docx(document: docx.document.Document) -> bytes:
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def make_pdf(lines: Sequence[str], *, indent: float = 21, password: str | None = None) -> bytes:
    """A PDF in STSong with a running header and page numbers; ``indent`` in points before a paragraph's first line."""
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    style = ParagraphStyle(
        "text", fontName="STSong-Light", fontSize=10.5, leading=16, wordWrap="CJK", firstLineIndent=indent
    )

    def furnish(canvas: Canvas, document: SimpleDocTemplate) -> None:
        canvas.setFont("STSong-Light", 9)
        canvas.drawString(72, 800, "某某公司隐私政策")
        canvas.drawCentredString(297, 30, f"第 {document.page} 页")

    stream = io.BytesIO()
    encryption = StandardEncryption(password) if password else None
    template = SimpleDocTemplate(stream, encrypt=encryption)
    template.build([Paragraph(escape(line), style) for line in lines], onFirstPage=furnish, onLaterPages=furnish)
    return stream.getvalue()


def make_canvas_pdf(pages: Sequence[Sequence[tuple[float, float, str]]], *, size: float = 10) -> bytes:
    """A PDF with each text where it is said to stand: points from the left and from the foot of the page."""
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=(595, 842))
    for page in pages:
        for x, y, text in page:
            canvas.setFont("STSong-Light" if any(ord(c) > 255 for c in text) else "Helvetica", size)
            canvas.drawString(x, y, text)
        canvas.showPage()
    canvas.save()
    return stream.getvalue()


def make_table_pdf(rows: Sequence[Sequence[str]], *, widths: Sequence[float]) -> bytes:
    """A PDF with one ruled table, whose first row comes back on every page and whose cells are wrapped."""
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    style = ParagraphStyle("cell", fontName="STSong-Light", fontSize=10, leading=14, wordWrap="CJK")
    cells = [[Paragraph(escape(cell), style) for cell in row] for row in rows]
    table = Table(cells, colWidths=widths, repeatRows=1, style=[("GRID", (0, 0), (-1, -1), 0.5, "black")])
    stream = io.BytesIO()
    SimpleDocTemplate(stream).build([Paragraph("我们接入的第三方SDK如下：", style), table, Paragraph("完。", style)])
    return stream.getvalue()


def make_scan(pages: int = 2) -> bytes:
    """A PDF whose pages are pictures."""
    from PIL import Image
    from reportlab.lib.utils import ImageReader

    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=(595, 842))
    for _ in range(pages):
        canvas.drawImage(ImageReader(Image.new("L", (200, 280), 200)), 0, 0, 595, 842)
        canvas.showPage()
    canvas.save()
    return stream.getvalue()
