from __future__ import annotations

from pathlib import Path

import pytest

import app as composition
from corpus.messages import message
from web.cli import EXIT_USAGE
from web.settings import Settings, read_root_path


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")


@pytest.mark.parametrize(
    ("given", "kept"), [("", ""), ("/", ""), ("/wentiao", "/wentiao"), ("/a/b-1/", "/a/b-1"), ("/..a/b.", "/..a/b.")]
)
def test_a_path_that_a_proxy_takes_off_has_no_slash_last(given: str, kept: str) -> None:
    assert read_root_path("--root-path", given, "en") == kept


@pytest.mark.parametrize(
    "given",
    [
        "wentiao",
        "//evil.example",
        "https://evil.example",
        "/a//b",
        "/..",
        "/a/../b",
        "/./a",
        "/a/.",
        "/a b",
        "/a\n",
        "/a\r\nx-header: 1",
        "/a'b",
        '/a"b',
        "/<b>",
        "/a?b",
        "/a#b",
        "/a\\b",
        "/%2e%2e",
        "/a;b",
        "/问条",
    ],
)
def test_a_path_that_could_be_more_than_a_path_is_refused(
    given: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="WENTIAO_ROOT_PATH must be a path that begins with /"):
        read_root_path("WENTIAO_ROOT_PATH", given, "en")
    with pytest.raises(SystemExit) as stopped:
        composition.main(["serve", f"--root-path={given}"])
    assert stopped.value.code == EXIT_USAGE
    assert "--root-path must be a path that begins with /, such as /wentiao" in capsys.readouterr().err
    monkeypatch.setenv("WENTIAO_ROOT_PATH", given)
    assert composition.main(["apps"]) == EXIT_USAGE
    assert repr(given) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "given", "key"),
    [
        ("WENTIAO_PORT", "http", "number"),
        ("WENTIAO_RATE", "-1", "number"),
        ("WENTIAO_ALLOWED_HOSTS", "https://a.example", "allowed_host"),
        ("WENTIAO_ROOT_PATH", "a", "root_path"),
        ("WENTIAO_PROXIES", "nginx", "networks"),
        ("WENTIAO_PROXIES", "0.0.0.0/0", "every_network"),
        ("WENTIAO_STORE", "redis://127.0.0.1:6379", "store"),
        ("WENTIAO_MODEL", "/nowhere/model", "model_missing"),
    ],
)
@pytest.mark.parametrize(("locale", "language"), [("C", "en"), ("zh_CN.UTF-8", "zh"), ("zh_TW.UTF-8", "zh-Hant")])
def test_a_setting_that_cannot_be_meant_is_told_in_the_operators_language(
    name: str,
    given: str,
    key: str,
    locale: str,
    language: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    monkeypatch.setenv(name, given)
    assert composition.main(["apps"]) == EXIT_USAGE
    smallest, largest = {"WENTIAO_RATE": (0, 10_000_000)}.get(name, (1, 65535))
    values = {"name": name, "given": repr(given), "path": repr(given), "smallest": smallest, "largest": largest}
    assert capsys.readouterr().err == f"wentiao: {message(f'settings.{key}', language, **values)}\n"
    assert name in message(f"settings.{key}", language, **values)


def test_the_password_of_a_store_that_cannot_be_meant_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WENTIAO_STORE", "redis://root:secret@10.0.0.7:6379")
    with pytest.raises(ValueError, match=r"redis://10\.0\.0\.7:6379") as refused:
        Settings.from_environment()
    assert "secret" not in str(refused.value)


def test_a_model_is_a_folder_with_its_configuration_or_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WENTIAO_MODEL", str(tmp_path))
    with pytest.raises(ValueError, match=r"is no model folder, it holds no config\.json"):
        Settings.from_environment()
    (tmp_path / "config.json").write_text("{}")
    assert Settings.from_environment().model == str(tmp_path)
    monkeypatch.setenv("WENTIAO_MODEL", "intfloat/multilingual-e5-small")
    assert Settings.from_environment().model == "intfloat/multilingual-e5-small"
    for path in ("./model", "~/model", "models/of/mine", str(tmp_path / "config.json")):
        monkeypatch.setenv("WENTIAO_MODEL", path)
        with pytest.raises(ValueError, match="there is no folder"):
            Settings.from_environment()


def test_what_is_set_to_nothing_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "ROOT_PATH", "INDEX", "MODEL", "STORE", "SITES", "TOKENS_FILE", "ALLOWED_HOSTS"):
        monkeypatch.setenv(f"WENTIAO_{name}", "")
    assert Settings.from_environment() == Settings(proxies=Settings.from_environment().proxies)


@pytest.mark.parametrize(("locale", "language"), [("C", "en"), ("zh_CN.UTF-8", "zh")])
def test_files_that_settings_name_and_that_are_not_there_are_told_before_anything_is_opened(
    locale: str, language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    path = tmp_path / "nothing"
    monkeypatch.setenv("WENTIAO_TOKENS_FILE", str(path))
    assert composition.main(["serve"]) == EXIT_USAGE
    told = message("settings.tokens_unreadable", language, path=path, reason="No such file or directory")
    assert capsys.readouterr().err == f"wentiao: {told}\n"
    monkeypatch.setenv("WENTIAO_SITES", str(path))
    assert composition.main(["serve"]) == EXIT_USAGE
    assert capsys.readouterr().err == f"wentiao: {message('settings.sites_missing', language, path=path)}\n"
    path.write_text("sites = 3")
    assert composition.main(["serve"]) == EXIT_USAGE
    fault = message("settings.sites_tables", language, given="3")
    assert capsys.readouterr().err == f"wentiao: {message('settings.sites_fault', language, path=path, fault=fault)}\n"


def test_a_milvus_lite_folder_is_of_one_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WENTIAO_STORE", "vectors.db")
    assert composition.main(["serve", "--workers", "2"]) == EXIT_USAGE
    assert "vectors.db is open in one process at a time and --workers is 2" in capsys.readouterr().err
