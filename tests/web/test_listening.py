from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

import app as composition
from corpus.messages import message
from retrieval.datatypes import Language
from web.cli import EXIT_USAGE
from web.listening import LOOPBACK_HOSTS, AddressError, bound_address, choose_hosts, shown_address
from web.metrics import FiguresError, Metrics, exposed
from web.server import WebSettings


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@pytest.fixture
def free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("language", ["zh", "zh-Hant", "en"])
def test_a_port_in_use_is_named_with_what_to_do(taken: int, language: Language) -> None:
    with pytest.raises(AddressError) as caught, bound_address("127.0.0.1", taken, language):
        pass
    assert str(caught.value) == message("settings.port_in_use", language, host="127.0.0.1", port=taken)
    assert str(taken) in str(caught.value) and "--port" in str(caught.value)


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("", "host_unknown"),
        ("no such host.invalid", "host_unknown"),
        ("a" * 64 + ".invalid", "host_unknown"),
        ("192.0.2.1", "host_not_here"),  # for documentation: RFC 5737
    ],
)
def test_a_host_that_is_none_of_this_machine_is_told(
    host: str, key: str, free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = socket.getaddrinfo

    def nowhere(name: str, *arguments: Any, **options: Any) -> Any:
        if name.endswith(".invalid") and len(name) < 64:  # no such name is looked up in earnest (RFC 6761)
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if name == "192.0.2.1":  # no look-up asks anybody for an address; the guard does not know that
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (name, free))]
        return look_up(name, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    with pytest.raises(AddressError) as caught, bound_address(host, free, "en"):
        pass
    assert str(caught.value) == message(f"settings.{key}", "en", host=host)


def test_what_is_bound_is_not_listened_on_until_somebody_answers_and_is_free_afterwards(free: int) -> None:
    with bound_address("127.0.0.1", free, "en") as [own]:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", free)).close()
        own.listen()
        socket.create_connection(("127.0.0.1", free)).close()
        with pytest.raises(AddressError), bound_address("127.0.0.1", free, "en"):
            pass
    with bound_address("127.0.0.1", free, "en"):  # at once, whatever the last connection left
        pass


def test_a_port_that_another_took_meanwhile_is_told_when_it_is_listened_on(free: int) -> None:
    with (
        pytest.raises(AddressError, match=f"port {free} of 127.0.0.1 is in use"),
        bound_address("127.0.0.1", free, "en") as [own],
        bound_address("127.0.0.1", free, "en") as [other],
    ):
        other.listen()
        own.listen()
    with pytest.raises(FileNotFoundError), bound_address("127.0.0.1", free, "en"):
        raise FileNotFoundError("what is not the address's fault stays as it is")


def test_a_server_that_cannot_begin_says_so_before_it_opens_anything_and_tells_no_address(
    taken: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setattr("web.cli_serve.opened_for_many", None)
    monkeypatch.setattr(composition, "open_assistant", None)
    for arguments in (["serve"], ["serve", "--workers", "2"]):
        assert composition.main([*arguments, "--port", str(taken)]) == EXIT_USAGE
        told = message("settings.port_in_use", "en", host="127.0.0.1", port=taken)
        assert capsys.readouterr() == ("", f"wentiao: {told}\n")


def test_a_port_of_the_figures_in_use_is_not_taken_for_the_sites(taken: int, free: int) -> None:
    with (
        pytest.raises(FiguresError, match=r"^Address already in use$"),
        bound_address("127.0.0.1", free, "en"),
        exposed(("127.0.0.1", taken), Metrics().registry),
    ):
        pass


def test_a_port_of_the_figures_in_use_is_told_in_the_operators_language(
    taken: int, free: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def opened(*given: object) -> AbstractContextManager[Any]:
        return nullcontext()

    def served(assistant: object, web: WebSettings, sockets: object, *, announce: object) -> None:
        with exposed(web.metrics, Metrics().registry):
            raise AssertionError("the port was taken twice")

    monkeypatch.setattr("web.cli_serve.opened_for_many", opened)
    monkeypatch.setattr("web.server.serve", served)
    monkeypatch.setenv("WENTIAO_METRICS", f"127.0.0.1:{taken}")
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert composition.main(["serve", "--port", str(free)]) == EXIT_USAGE
    told = message(
        "settings.metrics_unusable", "zh", host="127.0.0.1", port=taken, reason=os.strerror(errno.EADDRINUSE)
    )
    assert capsys.readouterr().err.endswith(f"wentiao: {told}\n")


def test_what_is_sent_there_does_not_wait_to_be_acknowledged(free: int) -> None:
    sends_at_once: list[bool] = []

    async def ask() -> None:
        def note(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted = writer.get_extra_info("socket")
            sends_at_once.append(bool(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
            writer.close()

        with bound_address("127.0.0.1", free, "en") as [bound]:
            async with await asyncio.start_server(note, sock=bound):
                reader, writer = await asyncio.open_connection("127.0.0.1", free)
                assert await reader.read() == b""
                writer.close()
                await writer.wait_closed()

    asyncio.run(ask())
    assert sends_at_once == [True]


def test_any_name_is_answered_only_where_others_reach_the_address_and_none_is_set() -> None:
    assert choose_hosts("0.0.0.0", []) is None
    for bound in ("127.0.0.1", "localhost", "::1"):
        assert choose_hosts(bound, []) == LOOPBACK_HOSTS
    for bound in ("127.0.0.1", "0.0.0.0"):
        assert choose_hosts(bound, ["wentiao.example"]) == (*LOOPBACK_HOSTS, "wentiao.example")


def test_an_address_is_shown_as_a_browser_takes_it() -> None:
    assert shown_address("127.0.0.1", 7860, "") == "http://127.0.0.1:7860/"
    assert shown_address("::1", 80, "/wentiao/") == "http://[::1]:80/wentiao/"
