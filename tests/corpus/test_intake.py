import io
import os
import re
import zipfile
from pathlib import Path

import pytest

from corpus.formats import Limits
from corpus.intake import Corrections, Intake, Rejected, propose_app, take_in
from corpus.load import default_policies_folder, load_policies

from .made import make_docx, make_html, make_pdf, make_scan

TEXT = (
    "《甲乙丙隐私政策》\n更新日期:2023年5月6日\n由天津某某科技有限公司运营。\n一、总则\n我们会收集您的手机号码。\n"
    "九、联系我们\n邮箱:service@example.com\n"
)
LINES = TEXT.split("\n")[:-1]


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def reasons(intake: Intake) -> dict[str, str]:
    return {Path(rejected.path).name: rejected.reason for rejected in intake.rejected}


def apps(intake: Intake) -> dict[str, str]:
    return {Path(taken.path).name: taken.policy.app for taken in intake.policies}


def test_the_good_files_of_a_batch_go_in_and_the_bad_ones_are_named(tmp_path: Path) -> None:
    good = {
        "甲.txt": TEXT.encode("gb18030"),
        "乙.html": make_html(LINES),
        "丙.docx": make_docx(LINES),
        "丁.pdf": make_pdf(LINES),
    }
    bad = {
        "扫描.pdf": make_scan(),
        "空.txt": b"",
        "错.docx": b"%PDF-1.7",
        "图.png": b"\x89PNG",
        "坏.zip": b"PK\x03\x04",
        "锁.pdf": make_pdf(LINES, password="x"),
    }
    for name, data in {**good, **bad, ".hidden.txt": b"x", "catalog.toml": b""}.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "戊.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "己.md").write_text(f"# {TEXT}", encoding="utf-8")
    intake = take_in([tmp_path])
    assert sorted(apps(intake).values()) == sorted(["甲", "乙", "丙", "丁", "己"])
    assert all("我们会收集您的手机号码。" in taken.policy.text.split("\n") for taken in intake.policies)
    found = reasons(intake)
    assert set(found) == set(bad)
    assert found["扫描.pdf"].startswith("the PDF is a scan")
    assert found["空.txt"].startswith("empty (0 bytes)")
    assert found["错.docx"].startswith("named .docx, but it is a .pdf file")
    assert found["图.png"] == (
        "the format .png is not read; allowed: .txt .md .html .htm .docx .pdf, a folder or a .zip of them"
    )
    assert found["坏.zip"].startswith("a damaged archive")
    assert found["锁.pdf"].startswith("the PDF is encrypted")


def test_what_the_text_states_is_proposed_and_can_be_corrected(tmp_path: Path) -> None:
    path = tmp_path / "甲.txt"
    path.write_text(TEXT, encoding="utf-8")
    (taken,) = take_in([path]).policies
    assert taken.path == str(path)
    policy = taken.policy
    assert (policy.app, policy.aliases, policy.operator) == ("甲", ("甲乙丙",), "天津某某科技有限公司")
    assert (policy.updated, policy.effective, policy.contact) == ("2023-05-06", None, "service@example.com")
    corrections = Corrections(operator="某某局", effective="2024-01-02", source="官网", contact="12345")
    (taken,) = take_in([path], app="乙", aliases=("小乙", "乙"), corrections=corrections).policies
    policy = taken.policy
    assert (policy.app, policy.aliases, policy.operator) == ("乙", ("小乙", "甲乙丙"), "某某局")
    assert (policy.updated, policy.date, policy.contact, policy.source) == ("2023-05-06", "2024-01-02", "12345", "官网")


def test_the_catalogue_beside_a_file_counts_in_folders_and_archives(tmp_path: Path) -> None:
    catalog = '["a.txt"]\nname = "津津"\naliases = ["小津"]\noperator = "某局"\n'.encode()
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "catalog.toml").write_bytes(catalog)
    (tmp_path / "b.zip").write_bytes(
        zipped({"x/a.txt": TEXT.encode(), "x/catalog.toml": catalog, "a.txt": TEXT.encode()})
    )
    policy = take_in([tmp_path / "a.txt"]).policies[0].policy
    assert (policy.app, policy.aliases, policy.operator) == ("津津", ("小津",), "某局")
    intake = take_in([tmp_path / "b.zip"])
    assert {taken.path.removeprefix(str(tmp_path)): taken.policy.app for taken in intake.policies} == {
        "/b.zip/a.txt": "a",
        "/b.zip/x/a.txt": "津津",
    }
    (tmp_path / "catalog.toml").write_text("= 1", encoding="utf-8")
    assert reasons(take_in([tmp_path / "a.txt"]))["a.txt"].startswith("the catalogue beside it cannot be read: ")


def test_the_shipped_folder_gives_what_the_index_is_built_from() -> None:
    intake = take_in([default_policies_folder()])
    assert intake.rejected == ()
    assert tuple(taken.policy for taken in intake.policies) == load_policies([default_policies_folder()])


def test_a_second_file_for_an_app_is_rejected(tmp_path: Path) -> None:
    for name in ("甲.html", "甲.txt"):
        (tmp_path / name).write_text(TEXT, encoding="utf-8")
    intake = take_in([tmp_path])
    assert apps(intake) == {"甲.html": "甲"}
    assert intake.rejected == (
        Rejected(
            str(tmp_path / "甲.txt"),
            f"a second file for the app '甲'; the first is {tmp_path / '甲.html'}."
            " Give one of them another name with --app",
        ),
    )
    assert len(take_in([tmp_path], app="乙").rejected) == 1


def test_names_in_an_archive_are_read_as_gbk_and_lead_nowhere(tmp_path: Path) -> None:
    data = zipped({"AAAA.txt": TEXT.encode(), "../../etc/u.txt": TEXT.encode()})
    data = data.replace(b"AAAA.txt", "津心".encode("gbk") + b".txt")
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    intake = take_in([path])
    assert sorted(apps(intake).values()) == ["u", "津心"]
    assert [item.name for item in tmp_path.rglob("*")] == ["a.zip"]


def test_what_an_archive_may_not_hold_is_rejected_and_the_rest_goes_in(tmp_path: Path) -> None:
    data = zipped(
        {
            "好.txt": TEXT.encode(),
            "inner.zip": zipped({"a.txt": b"x"}),
            "__MACOSX/._好.txt": b"x",
            "大.txt": bytes(3 << 20),
            "图.jpg": b"x",
            "folder/": b"",
        }
    )
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    intake = take_in([path], limits=Limits(file_mib=2))
    assert apps(intake) == {"好.txt": "好"}
    found = reasons(intake)
    assert set(found) == {"inner.zip", "大.txt", "图.jpg"}
    assert found["inner.zip"] == "an archive in an archive; unpack it first"
    assert found["大.txt"] == "larger than 2 MiB"


def test_a_name_that_is_not_printable_is_refused_and_the_rest_goes_in(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({"b\x1b]0;hi\x07.txt": TEXT.encode(), "好.txt": TEXT.encode(), "坏\u202e.png": b"x"}))
    intake = take_in([path])
    assert apps(intake) == {"好.txt": "好"}
    assert reasons(intake) == {
        r"b\x1b]0;hi\x07.txt": (
            r"the app name 'b\x1b]0;hi\x07' holds a control character;"
            " give it a name without, with --app or in catalog.toml"
        ),
        r"坏\u202e.png": reasons(intake)[r"坏\u202e.png"],
    }
    file = tmp_path / "甲\x1b[2J.txt"
    file.write_text(TEXT, encoding="utf-8")
    (taken,) = take_in([file], app="甲").policies
    assert taken.path == str(tmp_path / r"甲\x1b[2J.txt")
    for app, aliases in ((" ", ()), ("甲\n乙", ()), ("甲", ("小\u2066甲",))):
        intake = take_in([file], app=app, aliases=aliases)
        assert intake.policies == () and "the app name " in intake.rejected[0].reason


def test_a_catalogue_with_a_wrong_value_rejects_the_files_beside_it_alone(tmp_path: Path) -> None:
    data = {"x/a.txt": TEXT.encode(), "x/catalog.toml": b'["a.txt"]\nname = 5\n', "b.txt": TEXT.encode()}
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(data))
    intake = take_in([path])
    assert apps(intake) == {"b.txt": "b"}
    assert reasons(intake)["a.txt"] == (
        f"the catalogue beside it cannot be read: {path}/x/catalog.toml: [a.txt] name is 5 (int); allowed is a string"
    )


def test_an_archive_that_is_a_bomb_is_refused_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({f"{n}.txt": bytes(30 << 20) for n in range(3)}))
    assert reasons(take_in([path], limits=Limits(unpacked_mib=50))) == {
        "a.zip": "unpacks to 90 MiB; allowed are 50 MiB"
    }
    path.write_bytes(zipped({f"{n}.txt": b"x" for n in range(30)}))
    assert reasons(take_in([path], limits=Limits(entries=20))) == {"a.zip": "30 files in the archive; allowed are 20"}


def test_an_entry_that_lies_about_its_size_gives_no_more_than_it_says(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.txt": b"a" * (50 << 20), "好.txt": TEXT.encode()}))
    for mark, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        place = data.index(mark) + offset
        data[place : place + 4] = (1000).to_bytes(4, "little")
    path = tmp_path / "a.zip"
    path.write_bytes(bytes(data))
    intake = take_in([path])
    assert "好" in apps(intake).values()
    assert all(len(taken.policy.text) <= 1000 for taken in intake.policies)


def test_an_encrypted_or_damaged_entry_is_named(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.txt": TEXT.encode(), "好.txt": TEXT.encode()}))
    locked = bytearray(data)
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        locked[locked.index(mark) + offset] |= 1
    (tmp_path / "locked.zip").write_bytes(bytes(locked))
    data[60] ^= 0xFF
    (tmp_path / "damaged.zip").write_bytes(bytes(data))
    locked_intake = take_in([tmp_path / "locked.zip"])
    assert apps(locked_intake) == {"好.txt": "好"}
    assert reasons(locked_intake) == {"a.txt": "encrypted; unpack the archive with its password first"}
    damaged = take_in([tmp_path / "damaged.zip"])
    assert apps(damaged) == {"好.txt": "好"}
    assert re.match("damaged in the archive", reasons(damaged)["a.txt"])


def test_what_is_not_there_or_no_file_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    assert take_in([tmp_path / "absent.txt", tmp_path / "pipe.txt"]).rejected == (
        Rejected(str(tmp_path / "absent.txt"), "no such file or folder"),
        Rejected(str(tmp_path / "pipe.txt"), "neither a file nor a folder"),
    )
    assert take_in([tmp_path]) == Intake((), ())


@pytest.mark.parametrize(
    ("stem", "app"),
    [
        ("甲", "甲"),
        ("甲乙丙隐私政策", "甲乙丙隐私政策"),
        ("app1", "app1"),
        ("Cafe\u0301", "Café"),
        ("隐私政策", "甲乙丙"),
        ("用户隐私政策-2024(1)", "甲乙丙"),
        ("privacy-policy_zh-CN", "甲乙丙"),
        ("index", "甲乙丙"),
    ],
)
def test_a_file_name_that_names_no_app_gives_way_to_the_title(stem: str, app: str) -> None:
    assert propose_app(TEXT, stem) == app


def test_a_file_name_stays_where_the_text_names_no_app() -> None:
    assert propose_app("我们非常重视您的隐私。", "隐私政策") == "隐私政策"
