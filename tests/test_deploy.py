"""What deploy/ promises, read from its files: no engine runs here, so that nothing is started."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from web.security import ASK_PATHS, CALL_PATHS, MAX_BODY_BYTES
from web.settings import Settings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
OURS = ("index", "app")
LONG_RUNNING = ("app", "proxy", "milvus", "etcd", "minio")

Service = dict[str, Any]


def compose(name: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))
    return read


def services() -> dict[str, Service]:
    """Return the services of both files, the second laid over the first where it matters here."""
    merged: dict[str, Service] = compose("compose.yaml")["services"]
    for name, service in compose("compose.milvus.yaml")["services"].items():
        before = merged.setdefault(name, {})
        environment = before.get("environment", {}) | service.get("environment", {})
        merged[name] = before | service | {"environment": environment}
    return merged


def containerfile() -> list[str]:
    """Return the instructions, continued lines joined, comments left out."""
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.split("\n") if not line.startswith("#"))
    return [line for line in lines.replace("\\\n", " ").split("\n") if line.strip()]


def arguments(instruction: str) -> list[str]:
    return [line.partition(" ")[2].strip() for line in containerfile() if line.startswith(f"{instruction} ")]


@pytest.mark.parametrize("name", ["index", "app", "proxy"])
def test_ours_and_the_proxy_are_nobody_in_particular_and_write_to_memory_alone(name: str) -> None:
    service = services()[name]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert service["read_only"] is True
    assert [place.partition(":")[0] for place in service["tmpfs"]] == ["/tmp"]
    assert "privileged" not in service


@pytest.mark.parametrize("name", sorted(services()))
def test_no_service_keeps_a_capability_or_gains_one_and_each_has_a_limit(name: str) -> None:
    service = services()[name]
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) >= {"cpus", "memory"}


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_whoever_stays_is_probed(name: str) -> None:
    assert services()[name]["healthcheck"]["test"][0] == "CMD"


def test_who_is_started_waits_for_what_it_needs() -> None:
    assert services()["app"]["depends_on"]["milvus"] == {"condition": "service_healthy"}
    before = compose("compose.yaml")["services"]
    assert before["app"]["depends_on"] == {"index": {"condition": "service_completed_successfully"}}
    assert before["proxy"]["depends_on"] == {"app": {"condition": "service_healthy"}}
    assert "/readyz" in " ".join(before["app"]["healthcheck"]["test"])


@pytest.mark.parametrize("name", sorted(set(services()) - set(OURS)))
def test_images_of_others_are_of_one_version(name: str) -> None:
    _, _, tag = services()[name]["image"].rpartition(":")
    assert re.search(r"\d+\.\d+\.\d+|\d{4}-\d{2}-\d{2}", tag), tag


def test_the_image_is_of_one_version_of_python_and_runs_as_the_user_that_the_services_name() -> None:
    bases = [line.split()[0] for line in arguments("FROM")]
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", bases[0])
    assert arguments("USER")[-1] == services()["app"]["user"] == services()["index"]["user"] == "10001:10001"


def test_no_secret_is_written_down() -> None:
    for name, service in services().items():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|KEY|TOKEN|USER", key):
                assert re.fullmatch(r"\$\{\w+:\?.+\}", value), f"{name}: {key}"
    example = (DEPLOY / ".env.example").read_text(encoding="utf-8")
    assert re.findall(r"^(?:MINIO_USER|MINIO_PASSWORD)=(.*)$", example, re.MULTILINE) == ["", ""]
    assert "deploy/.env" in (ROOT / ".gitignore").read_text(encoding="utf-8").split("\n")


def test_every_setting_is_one_that_the_program_reads() -> None:
    read = set(re.findall(r'"(WENTIAO_[A-Z_]+)"', (ROOT / "web" / "settings.py").read_text(encoding="utf-8")))
    given = {key for service in services().values() for key in service.get("environment", {})}
    given |= set(re.findall(r"(WENTIAO_[A-Z_]+)=", "\n".join(arguments("ENV"))))
    given = {key for key in given if key.startswith("WENTIAO_")}
    assert {"WENTIAO_STORE", "WENTIAO_ALLOWED_HOSTS", "WENTIAO_INDEX", "WENTIAO_HOST", "WENTIAO_PORT"} <= given
    assert given - read == set()


def test_what_only_one_operator_knows_must_be_given() -> None:
    hosts = services()["app"]["environment"]["WENTIAO_ALLOWED_HOSTS"]
    assert hosts.startswith("${WENTIAO_ALLOWED_HOSTS:?")


def test_the_server_reads_the_index_and_only_its_builder_writes_it() -> None:
    found = services()
    assert found["app"]["volumes"] == ["index:/index:ro"]
    assert "index:/index" in found["index"]["volumes"]
    assert found["app"]["environment"]["WENTIAO_INDEX"] == found["index"]["command"][-1] == "/index/policies"


def test_nothing_inside_reaches_out_and_the_proxy_alone_is_reached_from_this_machine() -> None:
    assert compose("compose.yaml")["networks"]["inside"] == {"internal": True}
    found = services()
    assert {name for name, service in found.items() if service["networks"] != ["inside"]} == {"proxy"}
    assert [name for name, service in found.items() if service.get("ports")] == ["proxy"]
    assert found["proxy"]["ports"] == ["127.0.0.1:${WENTIAO_PUBLISHED_PORT:-8080}:8080"]


def test_the_image_holds_what_the_program_imports_and_the_context_lets_it_through() -> None:
    copied = [
        source.rstrip("/")
        for line in arguments("COPY")
        if not line.startswith("--from")
        for source in line.split()[:-1]
    ]
    assert set(copied) == {
        *("requirements.txt", "requirements-milvus.txt", "pyproject.toml"),
        *("app.py", "corpus", "index", "retrieval", "web"),
    }
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    allowed = [line[1:].rstrip("/") for line in ignored if line.startswith("!")]
    assert "*" in ignored
    assert {name for name in copied if not any(fnmatch(name, one) for one in allowed)} == set()
    assert {name for name in copied if not (ROOT / name).exists()} == set()


def test_the_model_is_made_with_the_image_and_nothing_is_asked_for_when_it_runs() -> None:
    steps = containerfile()
    made = next(i for i, line in enumerate(steps) if "load_encoder()" in line)
    last = max(i for i, line in enumerate(steps) if line.startswith("FROM "))
    assert made < last
    told = "\n".join(arguments("ENV"))
    assert re.findall(r"XDG_CACHE_HOME=(\S+)", told) == ["/opt/wentiao", "/opt/wentiao"]
    assert "COPY --from=build /opt/wentiao /opt/wentiao" in steps
    assert "HF_HUB_OFFLINE=1" in told
    assert "TRANSFORMERS_OFFLINE=1" in told


def test_what_the_image_leaves_out_is_needed_by_other_models_alone() -> None:
    """No package that is left out is imported where the project's own model serves, and all are in the lists."""
    [left_out] = re.findall(r"grep -hvE '\^\((\S+)\)=='", "\n".join(containerfile()))
    names = set(left_out.split("|"))
    listed = "\n".join((ROOT / f"requirements{own}.txt").read_text(encoding="utf-8") for own in ("", "-milvus"))
    assert names <= set(re.findall(r"^([\w-]+)==", listed, re.MULTILINE))
    modules = {name.replace("-", "_") for name in names - {"scikit-learn"}} | {"sklearn"}
    sources = [
        ROOT / "app.py",
        *(path for part in ("corpus", "index", "retrieval", "web") for path in (ROOT / part).rglob("*.py")),
    ]
    importing = {
        path.relative_to(ROOT).as_posix()
        for path in sources
        if re.findall(rf"^\s*(?:from|import) (?:{'|'.join(modules)})\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert importing == {"index/engine_torch.py", "index/milvus.py"}  # the second only for a file of Milvus Lite


def nginx() -> str:
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    return "\n".join(line for line in text.split("\n") if not line.lstrip().startswith("#"))


def test_the_proxy_passes_on_the_host_that_was_asked_for_and_believes_no_client_about_it() -> None:
    headers = dict(re.findall(r"proxy_set_header\s+(\S+)\s+(\S+);", nginx()))
    assert headers["Host"] == headers["X-Forwarded-Host"] == "$http_host"
    assert headers["X-Forwarded-For"] == "$remote_addr"
    assert headers["X-Forwarded-Proto"] == "$asked_scheme"
    assert headers["X-Request-ID"] == "$request_id"  # 32 hexadecimal digits, which the app takes over
    assert nginx().count("proxy_set_header") == len(headers)  # one inside a location would drop those outside


def test_the_proxy_is_believed_about_whose_question_it_passes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    app = services()["app"]
    monkeypatch.setenv("WENTIAO_PROXIES", app["environment"]["WENTIAO_PROXIES"])
    believed = Settings.from_environment().proxies
    for address in ("172.18.0.3", "192.168.16.2", "10.89.0.4"):  # as Docker and Podman give them out
        assert any(ip_address(address) in network for network in believed)
    assert not any(ip_address("203.0.113.7") in network for network in believed)
    assert app["networks"] == ["inside"] and "ports" not in app


def test_the_proxy_leaves_bodies_to_the_server_and_holds_no_stream_back() -> None:
    [kilobytes] = re.findall(r"client_max_body_size (\d+)k;", nginx())
    assert int(kilobytes) * 1024 > MAX_BODY_BYTES  # so that the server's own problem answers
    assert "proxy_intercept_errors" not in nginx()
    assert "proxy_buffering off;" in nginx()
    assert "proxy_next_upstream off;" in nginx()


def test_the_proxy_reaches_the_port_that_the_server_listens_on() -> None:
    [port] = re.findall(r"WENTIAO_PORT=(\d+)", "\n".join(arguments("ENV")))
    assert f"set $wentiao http://app:{port};" in nginx()
    assert services()["app"]["expose"] == [port] == arguments("EXPOSE")


def test_no_question_is_in_the_proxys_log() -> None:
    [logged] = re.findall(r"log_format short '(.+)';", nginx())
    assert set(re.findall(r"\$\w+", logged)) == {
        "$remote_addr",
        "$time_iso8601",
        "$request_method",
        "$uri",
        "$status",
        "$body_bytes_sent",
        "$request_time",
        "$request_id",
    }


def test_whether_the_server_is_well_is_told_to_private_addresses_alone() -> None:
    [(pattern, body)] = [
        (re.compile(pattern), body)
        for pattern, body in re.findall(r"location ~ (\S+) \{([^}]*)\}", nginx())
        if "deny" in body
    ]
    assert all(pattern.search(path) for path in ("/healthz", "/readyz"))
    assert not pattern.search("/api/v1/apps")
    *ranges, last = re.findall(r"(?:allow|deny) (\S+);", body)
    assert last == "all" and body.rindex("deny all;") > body.rindex("allow ")
    assert all(ip_network(one).is_private for one in ranges) and len(ranges) == body.count("allow ")


def test_a_refusal_of_the_proxy_is_of_the_type_that_the_pages_know() -> None:
    [problem] = re.findall(r"return 503 '(.+)';", nginx())
    assert json.loads(problem)["type"] == "urn:wentiao:problem:overloaded"


def test_what_asks_is_limited_and_what_reads_is_not() -> None:
    [limited] = [
        re.compile(pattern)
        for pattern, body in re.findall(r"location ~ (\S+) \{([^}]*)\}", nginx())
        if "limit_req" in body
    ]
    asking = ["/api/v1/ask", "/api/v1/search", "/api/v1/compare", "/mcp", "/widget/ask", "/compare/rows"]
    for path in [*asking, "/compare/export", "/gradio_api/run/predict"]:
        assert ASK_PATHS.fullmatch(path) or CALL_PATHS.fullmatch(path)
        assert limited.search(path), path
    for path in ["/", "/compare", "/healthz", "/api/v1/apps", "/read/昶联", "/widget.js"]:
        assert not limited.search(path), path
