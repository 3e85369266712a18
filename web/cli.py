"""The command ``wentiao``: its verbs, their options and exit codes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

from corpus.messages import message, printable
from corpus.topics import TOPICS
from retrieval.datatypes import Language
from retrieval.question import detect_language
from web.cli_corpus import CHANGING, Workbench, run_corpus, take_corpus, take_index
from web.cli_stages import run_profiled
from web.evidence import NotEvidenceError, check_evidence, read_evidence
from web.settings import MOST_WORKERS, read_root_path

if TYPE_CHECKING:
    from tqdm import tqdm

    from index.encoder import Encoder
    from index.manifest import Version
    from retrieval import Answer, Assistant, Citation, Passage, Row

EXIT_ANSWERED = 0
EXIT_DECLINED = 1
EXIT_USAGE = 2
EXIT_UNUSABLE = 3
EXIT_STOPPED = 130  # what a shell gives for a command that the user ended
EXIT_UNREAD = 141  # and for one whose reader went away, as head does: 128 and the number of SIGPIPE

_EPILOG = """\
exit codes:
  0  done; for ask and compare: at least one policy answers; for verify: all that the file quotes stands
  1  a decline: the policy does not say, the app is not known, or the question is not one for a policy;
     for verify: something does not stand; for doctor: something is wrong; for corpus: some files were not taken, or
     diff found changes
  2  the command was given something it cannot take
  3  the index, the model or a policy file cannot be used; the message says what mends it
  130 and 141: stopped by Ctrl-C; whoever read the output went away (wentiao apps | head -1)

examples:
  wentiao ask "津心办怎么注销账号"
  wentiao ask "how long do you keep my data" --app 昶联 --json
  wentiao verify wentiao-evidence.json
  wentiao index build --policies corpus/policies --policies ~/policies --out ~/index
  WENTIAO_INDEX=~/index wentiao serve --port 8080
  wentiao corpus add policies.zip --dry-run
  wentiao corpus update 2026.docx --app 昶联 && wentiao corpus diff 昶联
  wentiao doctor
  wentiao ask "津心办怎么注销账号" --profile
"""


@dataclass(frozen=True)
class Commands:
    """What the composition root gives the command to work with.

    ``index`` is the index when a command names none; ``prepare_index`` makes sure that it is there. ``language`` is
    that of the operator's terminal. ``publish`` puts what an index that was changed needs where vectors are searched.
    ``serve`` takes host, port, sub-path and the number of processes, and returns whether that went well.
    """

    open_assistant: Callable[[], Assistant]
    serve: Callable[[str, int, str, int], bool]
    build_index: Callable[[Sequence[Path], Path | None], str]
    load_encoder: Callable[[], Encoder]
    prepare_index: Callable[[], None]
    index: Path
    default_host: str = "127.0.0.1"
    default_port: int = 7860
    default_root_path: str = ""
    default_workers: int = 1
    language: Language = "en"
    publish: Callable[[Path], None] = lambda out: None
    store: str | None = None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\nSee: {self.prog} --help\n")


def make_parser(commands: Commands) -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = _Parser(
        prog="wentiao",
        description="问条: ask an app's privacy policy a question; get the clause that answers it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")

    serve = verbs.add_parser("serve", help="start the web chat and the HTTP API")
    serve.add_argument("--host", default=commands.default_host, help="address to listen on (default %(default)s)")
    serve.add_argument(
        "--port", type=_port, default=commands.default_port, help="port to listen on (default %(default)s)"
    )
    serve.add_argument(
        "--root-path",
        type=partial(_root_path, commands.language),
        default=commands.default_root_path,
        help="path prefix that a reverse proxy takes off, such as /wentiao",
    )
    serve.add_argument(
        "--workers",
        type=_worker_count,
        default=commands.default_workers,
        help="processes that serve the port together, each with the model (default %(default)s)",
    )

    ask = verbs.add_parser("ask", help="answer a question with the clause that says so")
    ask.add_argument("question", metavar="QUESTION")
    ask.add_argument("--app", help="ask about this app only")
    ask.add_argument("--json", action="store_true", help="print the answer as JSON")
    _take_profile(ask)

    search = verbs.add_parser("search", help="list the clauses nearest to a query")
    search.add_argument("query", metavar="QUERY")
    search.add_argument("--app", help="search this app only")
    search.add_argument("--top-k", type=_positive, default=10, help="how many clauses (default %(default)s)")
    search.add_argument(
        "--topic", action="append", default=[], choices=TOPICS, help="only clauses on this topic; may be repeated"
    )
    search.add_argument("--json", action="store_true", help="print the passages as JSON")
    _take_profile(search)

    compare = verbs.add_parser("compare", help="ask several apps the same question, or what they say on a topic")
    compare.add_argument("question", nargs="?", default="", metavar="QUESTION")
    compare.add_argument("--topic", choices=TOPICS, help="a topic instead of a question")
    compare.add_argument("--apps", nargs="+", metavar="APP", help="which apps (default: those named, else all)")
    compare.add_argument("--json", action="store_true", help="print the rows as JSON")
    _take_profile(compare)

    index = verbs.add_parser("index", help="build or repair an index").add_subparsers(dest="action", required=True)
    build = index.add_parser("build", help="build an index of folders of policies")
    build.add_argument(
        "--policies", action="append", type=Path, default=[], metavar="DIR", help="folder of policies; may be repeated"
    )
    build.add_argument("--out", type=Path, metavar="PATH", help="folder of the index (default: the one serve uses)")

    repair = index.add_parser("repair", help="make an index whole, and as this version makes it, from its own texts")
    repair.add_argument("--out", type=Path, metavar="PATH", help="folder of the index (default: the one serve uses)")

    take_corpus(
        verbs.add_parser("corpus", help="keep the policies of an index: add, update, compare versions, go back")
    )
    doctor = verbs.add_parser("doctor", help="look for what is wrong with an index, with the command that mends it")
    take_index(doctor)
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")

    apps = verbs.add_parser("apps", help="list the apps of the index")
    apps.add_argument("--json", action="store_true", help="print the names as JSON")

    verbs.add_parser("mcp", help="serve the tools of the Model Context Protocol over standard input and output")

    verify = verbs.add_parser("verify", help="check an evidence file that the web chat gave")
    verify.add_argument("file", type=Path, metavar="FILE")
    return parser


def _take_profile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--profile", action="store_true", help="tell on standard error where the time goes, stage by stage"
    )


def run(arguments: Sequence[str], commands: Commands, *, out: TextIO, err: TextIO) -> int:
    """Run one command; return the exit code."""
    from index.errors import IndexMismatchError, IndexNotBuiltError, StoreUnreachableError

    options = make_parser(commands).parse_args(arguments)
    try:
        if options.verb == "corpus":
            with ProgressBar() as progress:
                code = run_corpus(options, _workbench(commands, progress, out, err))
            # 1 is that of a part: what was taken is to be searched.
            if options.action in CHANGING and code in (0, 1) and not getattr(options, "dry_run", False):
                commands.publish(options.index or commands.index)
            return code
        runner = _RUNNERS[options.verb]
        if getattr(options, "profile", False):
            (code, text), table = run_profiled(
                commands.open_assistant,
                lambda opened: runner(options, replace(commands, open_assistant=opened)),
                commands.language,
            )
        else:
            (code, text), table = runner(options, commands), ""
    except BrokenPipeError:  # nobody reads what is written: nothing is to be told
        raise
    except (IndexNotBuiltError, IndexMismatchError, StoreUnreachableError, ModuleNotFoundError, OSError) as error:
        err.write(f"wentiao: {error}\n")
        return EXIT_UNUSABLE
    except KeyboardInterrupt:
        goes_on = options.verb in ("index", "corpus")
        err.write(f"\nwentiao: {message('cli.stopped_building' if goes_on else 'cli.stopped', commands.language)}\n")
        return EXIT_STOPPED
    except NotEvidenceError as error:
        err.write(f"wentiao: {options.file} is no evidence file: {error}\n")
        return EXIT_USAGE
    except ValueError as error:
        err.write(f"wentiao: {error}\n")
        return EXIT_UNUSABLE if options.verb == "index" else EXIT_USAGE
    if text:
        out.write(text.rstrip("\n") + "\n")
    if table:
        err.write(f"{table}\n")
    return code


def _workbench(commands: Commands, progress: ProgressBar, out: TextIO, err: TextIO) -> Workbench:
    return Workbench(
        index=commands.index,
        load_encoder=commands.load_encoder,
        prepare=commands.prepare_index,
        language=commands.language,
        progress=progress,
        out=out,
        err=err,
    )


def _serve(options: argparse.Namespace, commands: Commands) -> tuple[int, str]:
    served = commands.serve(options.host, options.port, options.root_path, options.workers)
    return EXIT_ANSWERED if served else EXIT_UNUSABLE, ""


def _ask(options: argparse.Namespace, commands: Commands) -> tuple[int, str]:
    _check_length(options.question, commands.language)
    answer = commands.open_assistant().ask(options.question, app=options.app)
    answered = any(row.status == "answered" for row in answer.rows) or answer.status == "answered"
    text = _json(answer.to_dict()) if options.json else format_answer(answer)
    return EXIT_ANSWERED if answered else EXIT_DECLINED, text


def _check_length(question: str, language: Language) -> None:
    from web.schema import MAX_QUESTION_CHARACTERS

    if len(question) > MAX_QUESTION_CHARACTERS:
        told = {"given": len(question), "allowed": MAX_QUESTION_CHARACTERS}
        raise ValueError(message("api.question_too_long", language, **told))


def _search(options: argparse.Namespace, commands: Commands) -> tuple[int, str]:
    _check_length(options.query, commands.language)
    assistant = commands.open_assistant()
    passages = assistant.search(options.query, app=options.app, top_k=options.top_k, topics=options.topic)
    if options.json:
        return EXIT_ANSWERED, _json([passage.to_dict() for passage in passages])
    return EXIT_ANSWERED, "\n\n".join(_format_passage(passage) for passage in passages)


def _compare(options: argparse.Namespace, commands: Commands) -> tuple[int, str]:
    if bool(options.question) == bool(options.topic):
        raise ValueError("give a question or a --topic, and not both")
    _check_length(options.question or "", commands.language)
    assistant = commands.open_assistant()
    if options.topic:
        language = commands.language
        rows = assistant.compare_topic(options.topic, options.apps, language=language)
    else:
        language = detect_language(options.question)
        rows = assistant.compare(options.question, apps=options.apps)
    answered = any(row.status == "answered" for row in rows)
    lines = "\n\n".join(_format_row(row, language) for row in rows)
    text = _json([row.to_dict() for row in rows]) if options.json else lines
    return EXIT_ANSWERED if answered else EXIT_DECLINED, text


def _index(options: argparse.Namespace, commands: Commands) -> tuple[int, str]:
    if options.action == "build":
        return EXIT_ANSWERED, commands.build_index(options.policies, options.out)
    from index.doctor import mend_index
    from index.storage import list_quarantine

    out = options.out or commands.index
    known = list_quarantine(out)
    with ProgressBar() as progress:
        lost = mend_index(out, commands.load_encoder(), progress=progress)
    commands.publish(out)
    aside = [
        message("cli.set_aside", commands.language, path=path) for path in list_quarantine(out) if path not in known
    ]
    if lost:
        lines = [message("cli.repaired_without", commands.language, out=out), *_describe_lost(out, lost, commands)]
        return EXIT_DECLINED, "\n".join(map(printable, [*lines, *aside]))
    told = [message("cli.repaired", commands.language, out=out), *aside]
    return EXIT_ANSWERED, "\n".join(map(printable, told))


def _describe_lost(out: Path, lost: Sequence[Version], commands: Commands) -> list[str]:
    """Return a line for each version that a repair took out of the index: what answers instead, what brings it back."""
    from index.manifest import add_command, read_manifest, update_command

    held = {version.app: version for version in read_manifest(out).current}
    no_date = message("cli.no_date", commands.language)
    lines = []
    for version in lost:
        values = {"app": version.app, "date": version.date or no_date, "version": version.policy_id}
        stand_in = held.get(version.app)
        if not version.is_current:
            lines.append(message("cli.lost_old", commands.language, **values))
        elif stand_in is None:
            command = add_command(out, version.app)
            lines.append(message("cli.lost_current", commands.language, **values, command=command))
        else:
            values |= {"other_date": stand_in.date or no_date, "other": stand_in.policy_id}
            command = update_command(out, version.app)
            lines.append(message("cli.lost_replaced", commands.language, **values, command=command))
    return lines


def _doctor(options: argparse.Namespace, commands: Commands) -> tuple[int, str]:
    from index.doctor import describe_finding, examine_index, exit_code

    encoder = commands.load_encoder()
    out = options.index or commands.index
    findings = examine_index(
        out,
        encoder_fingerprint=encoder.fingerprint,
        dimension=encoder.dimension,
        token_dimension=encoder.token_dimension,
        store=commands.store,
    )
    if options.json:
        return exit_code(findings), _json([finding.to_dict() for finding in findings])
    counts = {name: sum(one.severity == name for one in findings) for name in ("error", "warning", "note")}
    lines = [describe_finding(finding, commands.language) for finding in findings]
    lines.append(message("cli.doctor_found", commands.language, out=out, **counts))
    return exit_code(findings), "\n".join(lines)


def _apps(options: argparse.Namespace, commands: Commands) -> tuple[int, str]:
    names = commands.open_assistant().apps()
    return EXIT_ANSWERED, _json(list(names)) if options.json else "\n".join(names)


def _mcp(options: argparse.Namespace, commands: Commands) -> tuple[int, str]:
    import anyio

    from web.mcp import serve_stdio

    anyio.run(serve_stdio, commands.open_assistant())
    return EXIT_ANSWERED, ""


def _verify(options: argparse.Namespace, commands: Commands) -> tuple[int, str]:
    try:
        content = options.file.read_bytes()
    except OSError as exc:
        raise NotEvidenceError(exc.strerror or type(exc).__name__) from exc
    evidence = read_evidence(content)  # before the assistant, which takes seconds to open
    findings = check_evidence(commands.open_assistant(), evidence)
    language = evidence.answer.language
    lines = []
    for finding in findings:
        faults = "、".join(message(f"cli.fault_{fault}", language) for fault in finding.faults)
        lines.append(f"{'✗' if faults else '✓'} {printable(finding.place)}{f': {faults}' if faults else ''}")
    if not findings:
        return EXIT_DECLINED, message("cli.nothing_quoted", language)
    failed = sum(bool(finding.faults) for finding in findings)
    lines.append(message("cli.verify_failed" if failed else "cli.verified", language, count=failed or len(findings)))
    return EXIT_DECLINED if failed else EXIT_ANSWERED, "\n".join(lines)


_RUNNERS = {
    "serve": _serve,
    "ask": _ask,
    "search": _search,
    "compare": _compare,
    "index": _index,
    "apps": _apps,
    "doctor": _doctor,
    "mcp": _mcp,
    "verify": _verify,
}


def format_answer(answer: Answer) -> str:
    """Return an answer as a person reads it in a terminal."""
    blocks = [answer.text, *(message(f"degraded.{part}", answer.language) for part in answer.degraded)]
    blocks.extend(_format_citation(citation, answer.language) for citation in answer.citations)
    blocks.extend(_format_row(row, answer.language) for row in answer.rows)
    blocks.extend(_format_passage(passage) for passage in answer.related)
    return "\n\n".join(blocks)


def _format_citation(citation: Citation, language: str) -> str:
    lines = [_address(citation.app, citation.label, citation.path)]
    if citation.lead_in:
        lines.append(f"  {citation.lead_in}")
    lines.append(f"  “{citation.quote}”")
    lines.append(f"  {_version(citation, language)}")
    return "\n".join(lines)


def _version(citation: Citation, language: str) -> str:
    date = (
        message("answer.version_date", language, date=citation.date)
        if citation.date
        else message("answer.date_unknown", language)
    )
    return f"{date} · {message('answer.official', language)}"


def _format_passage(passage: Passage) -> str:
    return f"{passage.rank}. {_address(passage.app, passage.label, passage.path)}\n  {passage.text}"


def _format_row(row: Row, language: str) -> str:
    lines = [f"{row.app}: {row.text}"]
    if row.citation:
        lines.append(f"  {_address(row.app, row.citation.label, row.citation.path)}")
        lines.append(f"  {_version(row.citation, language)}")
    return "\n".join(lines)


def _address(app: str, label: str, path: Sequence[str]) -> str:
    return " · ".join(part for part in (app, label, " › ".join(path)) if part)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to 65535, got {text!r}")
    return int(text)


def _root_path(language: Language, text: str) -> str:
    try:
        return read_root_path("--root-path", text, language)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _worker_count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_WORKERS:
        raise argparse.ArgumentTypeError(
            f"a number of processes from 1 to {MOST_WORKERS}, each of half a gigabyte, got {text!r}"
        )
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 on, got {text!r}")
    return int(text)


class ProgressBar:
    """Draws how far an index build has come on standard error; made for ``progress=``.

    Left as a context, also by an exception, it draws no more: what is written then stays the last line.
    """

    def __init__(self) -> None:
        self._bar: tqdm[NoReturn] | None = None

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *raised: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, done: int, total: int) -> None:
        """Show ``done`` of ``total`` texts."""
        if self._bar is None:
            from tqdm import tqdm

            # Without those that were done before, the rate and the time left are of this run.
            self._bar = tqdm(total=total, initial=done, desc="indexing", unit="text")
        self._bar.update(done - self._bar.n)
        if done >= total:
            self._bar.close()
