"""What a hostile file may take: bombs of every format are refused, each in words of its own, and the rest goes in."""

from __future__ import annotations

import io
import os
import resource
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from corpus.formats import Limits, UnreadableError, read_bytes
from corpus.intake import Intake, take_in

from .made import make_docx, make_pdf

TEXT = "《甲乙丙隐私政策》\n一、总则\n我们会收集您的手机号码。\n"
GIB = 1 << 30
SOON = 60  # seconds; a bomb that is read takes minutes, or all memory, on any machine


@dataclass(frozen=True)
class Entry:
    """An entry of an archive as it is written, whatever is true of it."""

    name: str
    packed: bytes
    size: int
    crc: int = 0
    mode: int = stat.S_IFREG | 0o644


def deflated(name: str, data: bytes, **changes: int) -> Entry:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(data) + packer.flush()
    return Entry(name, packed, **{"size": len(data), "crc": zlib.crc32(data), **changes})


def zeros(size: int) -> bytes:
    """Some GiB of zeros, packed: one block again and again."""
    block = 16 << 20
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    once = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    return once * (size // block) + packer.flush(zlib.Z_FINISH)


def archive(entries: Sequence[Entry]) -> bytes:
    body, directory = io.BytesIO(), io.BytesIO()
    for entry in entries:
        name = entry.name.encode()
        sizes = struct.pack("<III", entry.crc, len(entry.packed), entry.size)
        place = body.tell()
        body.write(b"PK\x03\x04" + struct.pack("<HHHHH", 20, 0x800, 8, 0, 33) + sizes)
        body.write(struct.pack("<HH", len(name), 0) + name + entry.packed)
        directory.write(b"PK\x01\x02" + struct.pack("<HHHHHH", 0x314, 20, 0x800, 8, 0, 33) + sizes)
        directory.write(struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, entry.mode << 16, place) + name)
    listed = directory.getvalue()
    count = min(len(entries), 0xFFFF)
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count, count, len(listed), body.tell(), 0)
    return body.getvalue() + listed + end


def take(tmp_path: Path, name: str, data: bytes, limits: Limits | None = None) -> tuple[list[str], dict[str, str]]:
    """Take in the file beside one that is good; return the apps and what was said of the others."""
    (tmp_path / name).write_bytes(data)
    (tmp_path / "好.txt").write_text(TEXT, encoding="utf-8")
    intake: Intake = take_in([tmp_path], limits=limits)
    reasons = {one.path.removeprefix(f"{tmp_path}/"): one.reason for one in intake.rejected}
    return sorted(one.policy.app for one in intake.policies), reasons


@pytest.fixture(autouse=True)
def soon_and_small() -> Iterator[None]:
    """No bomb takes this process time or memory."""
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.monotonic() - start < SOON
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB


def test_an_archive_of_ten_gigabytes_of_zeros_is_refused_by_what_it_says(tmp_path: Path) -> None:
    packed = zeros(3 * GIB)
    data = archive([Entry(f"{number}.txt", packed, 3 * GIB) for number in range(4)])
    assert len(data) < 15_000_000
    assert take(tmp_path, "a.zip", data) == (["好"], {"a.zip": "unpacks to 12288 MiB; allowed are 200 MiB"})


def test_an_archive_that_says_less_than_it_holds_is_unpacked_no_further(tmp_path: Path) -> None:
    data = archive([Entry("大.txt", zeros(GIB), 1000), deflated("中.txt", TEXT.encode())])
    apps, reasons = take(tmp_path, "a.zip", data)
    assert apps == ["中", "好"]
    assert reasons["a.zip/大.txt"].startswith("damaged in the archive")


def test_entries_that_share_their_bytes_count_each(tmp_path: Path) -> None:
    packed = zeros(16 << 20)
    data = bytearray(
        archive([Entry(f"{number:03}.txt", packed if not number else b"", 16 << 20) for number in range(50)])
    )
    place = 0
    while (place := data.find(b"PK\x01\x02", place)) >= 0:
        data[place + 42 : place + 46] = bytes(4)  # all at the first one's place
        place += 46
    assert take(tmp_path, "a.zip", bytes(data))[1] == {"a.zip": "unpacks to 800 MiB; allowed are 200 MiB"}


def test_an_archive_of_a_hundred_thousand_files_is_refused_before_they_are_listed(tmp_path: Path) -> None:
    entries = [Entry(f"{number}.txt", b"\x03\x00", 0) for number in range(100_000)]
    _, reasons = take(tmp_path, "a.zip", archive(entries))
    assert reasons == {"a.zip": "65535 files in the archive; allowed are 5000"}


def test_names_that_lead_elsewhere_links_and_devices_lead_nowhere(tmp_path: Path) -> None:
    names = ["../../../../tmp/一.txt", "/etc/二.txt", "C:\\三.txt", "CON.txt", "a/../../四.txt"]
    entries = [deflated(name, TEXT.encode()) for name in names]
    entries.append(deflated("五.txt", b"/etc/passwd", mode=stat.S_IFLNK | 0o777))
    entries.append(deflated("六.txt", TEXT.encode(), mode=stat.S_IFCHR | 0o666))
    inside = tmp_path / "in"
    inside.mkdir()
    apps, reasons = take(inside, "a.zip", archive(entries))
    assert apps == sorted(["一", "二", "三", "CON", "四", "好"])
    said = "no file but a link or a device in the archive; put the file itself in"
    assert reasons == {"a.zip/五.txt": said, "a.zip/六.txt": said}
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.zip", "in", "好.txt"]


def test_an_archive_in_an_archive_is_not_opened(tmp_path: Path) -> None:
    data = archive([Entry("0.txt", zeros(GIB), GIB)])
    for depth in range(5):
        data = archive([deflated(f"{depth}.zip", data), deflated(f"{depth}.txt", TEXT.encode())])
    apps, reasons = take(tmp_path, "a.zip", data)
    assert apps == ["4", "好"]
    assert reasons == {"a.zip/4.zip": "an archive in an archive; unpack it first"}


def test_an_encrypted_file_in_an_archive_says_so(tmp_path: Path) -> None:
    data = bytearray(archive([deflated("甲.txt", TEXT.encode())]))
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        data[data.index(mark) + offset] |= 1
    assert take(tmp_path, "a.zip", bytes(data)) == (
        ["好"],
        {"a.zip/甲.txt": "encrypted; unpack the archive with its password first"},
    )


def test_a_folder_does_not_lead_out_of_itself(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("口令：很长的一个口令", encoding="utf-8")
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / "甲.txt").symlink_to(secret)
    (inside / "乙.txt").symlink_to("乙.txt")
    (inside / "丙").symlink_to(tmp_path, target_is_directory=True)
    (inside / "丁.txt").symlink_to("/dev/zero")
    (inside / "戊.txt").symlink_to("好.txt")
    apps, reasons = take(inside, "己.txt", TEXT.encode())
    assert apps == ["好", "己", "戊"]
    assert reasons == {"甲.txt": "a link to a file outside the folder; give that file itself"}
    assert take_in([inside / "甲.txt"]).policies[0].policy.text == "口令：很长的一个口令"


def test_a_batch_of_too_many_files_says_where_it_stopped(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number:02}.txt").write_text(f"{TEXT}{number}", encoding="utf-8")
    intake = take_in([tmp_path], limits=Limits(files=10))
    assert [one.policy.app for one in intake.policies] == [f"{number:02}" for number in range(10)]
    [rejected] = intake.rejected
    assert (Path(rejected.path).name, rejected.reason) == (
        "10.txt",
        "this file and all after it: more than 10 in one batch; add them in several",
    )


def test_a_catalogue_without_end_rejects_the_files_beside_it_alone(tmp_path: Path) -> None:
    for name, catalog in (("深", "a = " + "[" * 100_000), ("大", 'x = "' + "a" * (6 << 20) + '"')):
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"{name}.txt").write_text(TEXT, encoding="utf-8")
        (folder / "catalog.toml").write_text(catalog, encoding="utf-8")
    apps, reasons = take(tmp_path, "甲.txt", TEXT.encode())
    assert apps == ["好", "甲"]
    assert reasons["深/深.txt"].endswith("nested too deeply")
    assert reasons["大/大.txt"].endswith("larger than 1 MiB")


def test_catalogues_of_an_archive_are_no_longer_together_than_one_may_be(tmp_path: Path) -> None:
    long = "# " + "x" * (700 << 10)
    with zipfile.ZipFile(tmp_path / "多.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for folder, catalog in (("一", long), ("二", long), ("三", "")):
            archive.writestr(f"{folder}/catalog.toml", f'["甲.txt"]\nname = "{folder}"\n{catalog}')
            archive.writestr(f"{folder}/甲.txt", f"{TEXT}{folder}")
    intake = take_in([tmp_path / "多.zip"])
    taken, [rejected] = [one.policy.app for one in intake.policies], intake.rejected
    assert len(taken) == 2 and "三" in taken
    assert rejected.reason.endswith("the archive's are larger than 1 MiB")


# -- Word


def document(change: Callable[[bytes], bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(make_docx(["您好。"]))) as whole, zipfile.ZipFile(stream, "w", 8) as packed:
        for entry in whole.infolist():
            data = whole.read(entry)
            packed.writestr(entry.filename, change(data) if entry.filename == "word/document.xml" else data)
    return stream.getvalue()


def declaring(entities: str, used: str) -> Callable[[bytes], bytes]:
    head = f'<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE d [{entities}]>'.encode()
    return lambda data: head + data.split(b"?>", 1)[1].replace("您好。".encode(), f"您好。{used}".encode())


LAUGHS = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 11))
LONG = f'<!ENTITY a "{"a" * 100_000}">'


@pytest.mark.parametrize(
    ("entities", "used"),
    [
        (LAUGHS, "&a10;"),
        (LONG, "&a;" * 20_000),
        ('<!ENTITY x SYSTEM "file:///etc/passwd">', "&x;"),
        ('<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;', ""),
    ],
)
def test_entities_in_a_word_file_are_neither_grown_nor_fetched(entities: str, used: str) -> None:
    data = document(declaring(entities, used))
    with pytest.raises(UnreadableError, match=r"declares entities of its own|not a Word document that can be read"):
        read_bytes(data, ".docx")


def test_no_address_in_a_file_is_asked_for(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        server.settimeout(0.5)
        external = f'<!ENTITY x SYSTEM "{address}">'
        page = f'<!DOCTYPE html SYSTEM "{address}" [{external}]><link rel=stylesheet href="{address}">'
        page += f'<img src="{address}">'
        for suffix, data in (
            (".docx", document(declaring(external, "&x;"))),
            (".docx", document(lambda data: data.replace(b"?>", f'?><!DOCTYPE d SYSTEM "{address}">'.encode(), 1))),
            (".html", f"{page}<iframe src='{address}'></iframe><p>您好。&x;".encode()),
            (".md", f"![图]({address}) 您好。".encode()),
        ):
            try:
                assert "您好" in read_bytes(data, suffix)
            except UnreadableError as exc:
                assert "declares entities" in str(exc)
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize("tags", ["<w:sdt><w:sdtContent>", "<w:tbl><w:tr><w:tc>", "<w:p><w:r><w:pict>"])
def test_a_word_file_nested_without_end_is_refused(tags: str) -> None:
    names = [tag[1:] for tag in tags.split(">") if tag]
    closed = "".join(f"</{name}>" for name in reversed(names))

    def nest(data: bytes) -> bytes:
        return data.replace(b"<w:body>", b"<w:body>" + (tags * 50_000).encode()).replace(
            b"</w:body>", (closed * 50_000).encode() + b"</w:body>"
        )

    with pytest.raises(UnreadableError, match=r"not a Word document that can be read|nested too deeply"):
        read_bytes(document(nest), ".docx")


# -- HTML


@pytest.mark.parametrize("tag", ["div", "b", "table><tr><td", "ul><li", "blockquote", "span style='display:block'"])
def test_a_page_nested_a_hundred_thousand_deep_is_refused(tag: str) -> None:
    with pytest.raises(UnreadableError, match="nested too deeply"):
        read_bytes(f"<{tag}>".encode() * 100_000 + "您好。".encode(), ".html")


def test_a_cell_that_spans_a_thousand_rows_does_not_fill_memory() -> None:
    cells = "".join(f"<td rowspan=1000>{'甲' * 100}</td>" for _ in range(50))
    page = f"<table><tr>{cells}</tr>{'<tr></tr>' * 999}</table>".encode()
    with pytest.raises(UnreadableError, match="characters of text; allowed are 2000000"):
        read_bytes(page, ".html")


# -- PDF


def pdf(objects: Sequence[bytes]) -> bytes:
    data, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(data))
        data += b"%d 0 obj\n" % number + content + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return data + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF"
        % (size, table, size, len(data))
    )


def stream(content: bytes, head: bytes = b"") -> bytes:
    packed = zlib.compress(content, 9)
    return b"<<%s/Length %d/Filter/FlateDecode>>stream\n" % (head, len(packed)) + packed + b"\nendstream"


CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"
ONE = b"<</Type/Pages/Count 1/Kids[3 0 R]>>"
PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Resources<<%s>>/Contents 4 0 R>>"
FONT = b"/Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>"
FORM = b"/Type/XObject/Subtype/Form/BBox[0 0 99 99]/Resources<</XObject<</X %d 0 R>>>>"


def test_a_pdf_of_a_million_pages_is_refused_by_their_number() -> None:
    pages = b"<</Type/Pages/Count 1000000/Kids[" + b"3 0 R " * 1_000_000 + b"]>>"
    with pytest.raises(UnreadableError, match="the PDF has 1000000 pages; allowed are 500"):
        read_bytes(pdf([CATALOG, pages, PAGE % b"", stream(b"")]), ".pdf")


@pytest.mark.parametrize(
    "objects",
    [
        [CATALOG, b"<</Type/Pages/Count 3/Kids[2 0 R 2 0 R 2 0 R]>>"],
        [CATALOG, b"<</Type/Pages/Count 1000000000/Kids[3 0 R]>>", PAGE % b"", stream(b"")],
        [CATALOG, ONE, PAGE % FONT, stream(b"BT /F 9 Tf (aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa) Tj ET\n" * 1_000_000)],
        [CATALOG, ONE, PAGE % b"/XObject<</X 5 0 R>>", stream(b"/X Do"), stream(b"/X Do " * 2, FORM % 5)],
        [
            *(CATALOG, ONE, PAGE % b"/XObject<</X 5 0 R>>", stream(b"/X Do")),
            *(stream(b"/X Do " * 8, FORM % (number + 1)) for number in range(5, 17)),
        ],
        [CATALOG, ONE, PAGE % b"", stream(bytes(1 << 20) * 600)],
    ],
    ids=["pages that hold themselves", "a wrong count", "a million lines", "a form in itself", "8^12 forms", "600 MiB"],
)
def test_a_pdf_that_is_a_bomb_is_refused(objects: Sequence[bytes]) -> None:
    with pytest.raises(UnreadableError, match=r"MiB of memory|longer than 5 seconds|no text in the PDF|can be read"):
        read_bytes(pdf(objects), ".pdf", limits=Limits(seconds=5, memory_mib=400))


# -- all of them


@pytest.mark.faults
def test_a_file_with_flipped_or_cut_bytes_is_read_or_refused(amount: Callable[[int, int], int]) -> None:
    import random

    lines = TEXT.split("\n")
    files = {".docx": make_docx(lines), ".pdf": make_pdf(lines), ".html": TEXT.encode(), ".md": TEXT.encode()}
    seed = 20261122
    for number in range(amount(6, 1500)):
        chance = random.Random(f"{seed}-{number}")
        suffix = chance.choice(list(files))
        data = bytearray(files[suffix])
        for _ in range(chance.randint(1, 20)):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        cut = bytes(data[: chance.randint(1, len(data))]) if chance.random() < 0.3 else bytes(data)
        try:
            assert isinstance(read_bytes(cut, suffix), str)
        except UnreadableError as exc:
            assert str(exc), f"seed {seed}-{number}"


def test_one_bad_file_of_every_kind_loses_none_of_the_others(tmp_path: Path) -> None:
    bad = {
        "a.docx": document(declaring(LAUGHS, "&a10;")),
        "b.html": b"<div>" * 100_000 + b"x",
        "c.pdf": pdf([CATALOG, b"<</Type/Pages/Count 3/Kids[2 0 R 2 0 R 2 0 R]>>"]),
        "d.zip": archive([Entry("0.txt", zeros(GIB), GIB)]),
        "e.txt": b"\x00" * 1000,
        "f.md": b"\xff\xfe\x00\xd8",
    }
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
    os.mkfifo(tmp_path / "g.txt")
    apps, reasons = take(tmp_path, "甲.txt", TEXT.encode())
    assert apps == ["好", "甲"]
    assert set(reasons) == set(bad)
    assert len(set(reasons.values())) == len(bad)
