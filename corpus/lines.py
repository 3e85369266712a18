"""What a line looks like: a heading, a lead-in, a title, a cell of a table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from corpus.blocks import Block

LEADS_IN = re.compile("(?:以下|如下|下列|下述)(?!.?(?:简称|合称|统称|称|或称|同))")
_TITLE = re.compile("政策|协议|指引|声明|条款|规则|说明|须知")
_NO_TITLE = re.compile(r"[。！；;!：:@\t]|https?|www|^《[^《》]*》$")
NO_PLAIN_TITLE = re.compile(
    "^(?:您|你|我们)(?:可|也|将|会|应|已|需|同意|理解)|(?:公司|（收）|\\(收\\)|所必需的?|有关的?|相关的?)$|以下|如下|下列|包括"
)
PREFACE = re.compile(
    "定义|释义|关于我们|引言|前言|序言|导言|概要|概述|摘要|.{0,4}(?:提示|特别说明|注意事项)|更新.{0,4}"
)
CHAPTER = re.compile(
    "^(?:我们|您|你|本.{1,4})?(?:将)?如何|联系我们|^联系方式|未成年人|儿童|(?:政策|指引|协议|条款).{0,2}(?:更新|变更|修订|修改)"
    "|(?:更新|变更|修订|修改).{0,2}(?:政策|指引|协议|条款)|争议|法律适用|适用范围|定义$|^(?:您|你|用户)的.{0,4}权利$|^附则|^附录|Cookie"
)
_CLOSING = "”’』」】）)》\"' "


def leads_in(text: str) -> bool:
    """Whether a block's last sentence announces what follows it."""
    bare = text.rstrip(_CLOSING)
    if bare[-1:] in ("：", ":"):
        return True
    last = re.split("[。！？；;]", bare.rstrip("。"))[-1]
    return bool(LEADS_IN.search(last)) and not re.search("[：:]", last)


def find_table_labels(blocks: Sequence[Block]) -> set[int]:
    """Indices of the short lines in a table of one cell a line: its labels come back three times or more."""
    cells = [i for i, block in enumerate(blocks) if block.marker is None and is_title(block.text, commas=0, limit=30)]
    counts = Counter(blocks[i].text for i in cells)
    repeated = [i for i in cells if counts[blocks[i].text] >= 3]
    near = Counter(neighbour for i in repeated for neighbour in range(i - 5, i + 6))
    return {i for i in cells if counts[blocks[i].text] >= 3 or near[i] >= 2}


def is_document_title(block: Block) -> bool:
    """Whether a block is the title of a document: a short line that names a policy, agreement or the like."""
    title = block.text.strip("《》")
    return block.marker is None and is_title(title, commas=0, limit=40) and _TITLE.search(title) is not None


def is_title_like(block: Block) -> bool:
    """Whether a block without a number reads like a heading."""
    preface = PREFACE.fullmatch(block.text.strip("【】[] "))
    return block.marker is None and preface is None and is_title(block.text, commas=0, limit=40)


def is_title(text: str, *, commas: int, limit: int) -> bool:
    """Whether ``text`` reads like a heading: at most ``limit`` characters, no mark of a sentence, few commas."""
    if not text or len(text) > limit or _NO_TITLE.search(text):
        return False
    count = len(re.findall("[，,]", text))
    return count <= commas and (count == 0 or len(text) <= 30) and re.search(r"[^\W\d]", text) is not None


def is_punctuated(text: str) -> bool:
    """Whether a mark that parts clauses or sentences stands in ``text``."""
    return re.search("[。！；;，,：:]", text) is not None


def is_long(block: Block) -> bool:
    """Whether a block is an unnumbered paragraph and no short line."""
    return block.marker is None and len(block.text) > 40
