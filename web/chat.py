"""The chat page: Gradio holds the controls and carries the calls, `web/render.py` writes the answers.

No state is kept here: the conversation lives in the browser's tab (`web/chat.js`), every event is one plain POST
outside Gradio's queue, and so any number of processes may serve one conversation.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.route_utils import FnIndexInferError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from corpus.lexicons import load_glossary
from corpus.messages import message, messages
from index.errors import UnavailableError
from retrieval.datatypes import MAX_ROWS, Answer, Language, Turn
from retrieval.gloss import Glosser
from retrieval.question import well_formed
from retrieval.stages import recording
from web.evidence import make_evidence
from web.language import HTML_LANG, LANGUAGES, negotiate_language
from web.problems import (
    REFUSAL_KINDS,
    AnswerFailedError,
    answering,
    log_failure,
    note_problem,
    problem_response,
    unavailable_kind,
    unfit_request,
)
from web.render import ask_buttons, render_turn
from web.schema import MAX_HISTORY_TURNS, MAX_QUESTION_CHARACTERS, RequestBody
from web.security import CALL_PATHS, NO_TELEMETRY, path_below
from web.suggestions import Suggestions, near_apps

if TYPE_CHECKING:
    from fastapi import FastAPI

    from retrieval import Assistant

LOCALES: dict[str, Language] = {"zh-CN": "zh", "zh-TW": "zh-Hant", "en": "en"}  # Gradio's names
IDLE_QUEUE_SECONDS = 1.0
SCRIPT_WORDS = ("title", "log_label", "pending", "failure", "offline", "retry", "copied", "stop", *REFUSAL_KINDS)
EXAMPLES = ("delete", "contact", "share", "compare")


class MisfitError(ValueError):
    """A call that the page never makes: too long, of another page's shape. It carries no text that was sent."""


class Desk:
    """Answers the page's calls: what `Assistant` says, as HTML, with what the page offers beside it."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant
        self._suggestions = Suggestions(assistant)
        self._glosser = Glosser(load_glossary())

    def answer_turn(
        self, question: str, app: str, history: Sequence[dict[str, Any]], *, all_apps: bool = False
    ) -> dict[str, Any]:
        """Answer one question of the page; return what the page keeps of the turn.

        That is ``asked`` (as it came, half letters replaced), ``question`` (as it was answered), ``app`` (the one
        understood), ``html`` and ``evidence``, the content of the evidence file. Where the question cannot be answered
        now but may be soon, it is ``asked`` and ``unavailable``, which names the words that say why.

        :param app: the picked app, empty to go by question and history.
        :param history: earlier turns, oldest first, each with ``question`` and ``app``.
        :param all_apps: leave out the apps that question and history name.
        :raises MisfitError: if question or history are longer than the page lets them be, or not of its shape.
        :raises AnswerFailedError: if something breaks; the page then says so.
        """
        try:
            question = well_formed(question)
            turns = [(well_formed(turn["question"]), well_formed(turn["app"] or "")) for turn in history]
        except (TypeError, KeyError, AttributeError):
            raise MisfitError("a question, an app or an earlier turn is of another shape; reload the page") from None
        if max(map(len, (question, *(said for said, _ in turns)))) > MAX_QUESTION_CHARACTERS or (
            len(turns) > MAX_HISTORY_TURNS
        ):
            raise MisfitError(f"at most {MAX_QUESTION_CHARACTERS} characters and {MAX_HISTORY_TURNS} turns are allowed")
        try:
            earlier = [Turn(said, named or None) for said, named in turns]
            return {"asked": question, **self._answer(question, app, earlier, all_apps=all_apps)}
        except UnavailableError as exc:  # raised, Gradio would answer that the program broke
            kind = unavailable_kind(exc)
            note_problem(kind)
            return {"asked": question, "unavailable": kind}

    def _answer(self, question: str, app: str, turns: list[Turn], *, all_apps: bool) -> dict[str, Any]:
        with answering():
            if all_apps:
                question = self._assistant.without_apps(question)
                turns = [Turn(self._assistant.without_apps(turn.question)) for turn in turns]
            answer = self._assistant.ask(question, app=app or None, history=turns)
            html = self._render(question, answer, app, turns)
            evidence = make_evidence(self._assistant, question, answer, time=datetime.now(UTC))
        return {"question": question, "app": answer.app, "html": html, "evidence": evidence}

    def suggest(self, app: str, language: str) -> str:
        """Return questions to ask of a picked app, for a page whose ``<html lang>`` is ``language``."""
        spoken = next((one for one in LANGUAGES if HTML_LANG[one] == language), LANGUAGES[0])
        try:
            with answering(), recording():
                covered = self._suggestions.next_questions(app, spoken) if app in self._assistant.apps() else ()
        except UnavailableError:  # whoever asks is told; nothing needs to be offered
            covered = ()
        if not covered:
            return ""
        title = escape(message("chat.suggestions", spoken))
        return f'<p class="wt-choices"><span>{title}</span>{ask_buttons(covered, app)}</p>'

    def _render(self, question: str, answer: Answer, app: str, turns: Sequence[Turn]) -> str:
        apps = self._assistant.apps()
        near: list[str] = []
        offered: list[str] = []
        suggestions: tuple[str, ...] = ()
        if answer.status == "unknown_app":
            near = near_apps(self._assistant, question, app, turns)
            offered = [name for name in apps if name not in near]
        elif answer.app:
            suggestions = self._after(answer, answer.app, asked=[question, *(turn.question for turn in turns)])
        named = self._assistant.apps_named(question) if app else ()
        return render_turn(
            question,
            answer,
            english=self._assistant.rendering,
            offered_apps=offered[:MAX_ROWS],
            near_apps=near,
            named_app=next((name for name in named if name in apps and name != answer.app), None),
            suggestions=suggestions,
            gloss=self._glosser.gloss,
            topics=self._assistant.topics,
            controls=True,
        )

    def _after(self, answer: Answer, app: str, *, asked: Sequence[str]) -> tuple[str, ...]:
        """Return what to ask after ``answer``; nothing where that breaks or cannot be had now: the answer stands."""
        cited = [citation.clause_id for citation in answer.citations]
        try:
            with answering(), recording():  # nobody asked these, and nobody's answers they are
                return self._suggestions.next_questions(app, answer.language, cited=cited, asked=asked)
        except (AnswerFailedError, UnavailableError):
            return ()


class QuietBlocks(gr.Blocks):
    """A page whose calls are not repeated in the server's output."""

    def validate_inputs(self, block_fn: Any, inputs: list[Any]) -> None:
        """Refuse a call with too few inputs, as of a page from before an update.

        Gradio's own error quotes them, the question among them, and is printed.

        :raises MisfitError: if there are fewer inputs than the event takes.
        """
        if len(inputs) < len(block_fn.inputs):
            raise MisfitError(f"the event takes {len(block_fn.inputs)} inputs, the page sent {len(inputs)}; reload it")

    async def preprocess_data(self, *arguments: Any, **options: Any) -> Any:
        """Read a call's inputs.

        :raises MisfitError: if one is none that the page's controls can have, as a name that the picker lacks.
        """
        try:
            return await super().preprocess_data(*arguments, **options)
        except Exception:  # noqa: BLE001 - whatever it is, it is about what was sent, and quotes it
            raise MisfitError("an input is none of the page's; reload it") from None

    async def process_api(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Run a call; where it breaks, say so without the words that Gradio would print, which may be a question's.

        Its own errors quote what was sent: a name that the picker does not have, say. A caller's mistake is left to
        :class:`CallRefusals`.
        """
        try:
            result: dict[str, Any] = await super().process_api(*arguments, **options)
        except MisfitError:
            options["request"].request.state.is_misfit = True
            raise gr.Error(message("api.invalid_title", "zh"), visible=False, print_exception=False) from None
        except Exception as exc:  # noqa: BLE001 - raised again, without its message
            if not isinstance(exc, AnswerFailedError):  # those are in the log
                log_failure(exc)
            raise gr.Error(message("api.failed", "zh"), visible=False, print_exception=False) from None
        return result


class CallBody(RequestBody):
    """What the page sends with a call, as far as it concerns whoever sends something else."""

    fn_index: int
    data: list[Any]


class CallRefusals:
    """ASGI middleware that refuses a call as our own routes do: Gradio's refusals quote what was sent, in its words."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not CALL_PATHS.fullmatch(path_below(scope.get("root_path", ""), scope["path"])):
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        status = 0
        refusal = bytearray()

        async def hold_refusal(sent: Message) -> None:
            nonlocal status
            status = sent.get("status", status)
            if status < 400:
                await send(sent)
            else:
                refusal.extend(sent.get("body", b""))

        try:
            await self.app(scope, receive, hold_refusal)
        except (KeyError, FnIndexInferError):  # an event that the page does not have; all else is caught inside
            state["is_misfit"] = True
        language = negotiate_language(Headers(scope=scope).get("accept-language"))
        if state.get("is_misfit"):
            response = unfit_request(
                [{"type": "value_error", "loc": ("body", "data")}], CallBody.model_fields, language
            )
        elif status == 422:
            # Of the place no more than its field: what is inside of it may be named by what was sent.
            errors = [{"type": error["type"], "loc": error["loc"][:2]} for error in json.loads(refusal)["detail"]]
            response = unfit_request(errors, CallBody.model_fields, language)
        elif 400 <= status < 500:  # FastAPI's word for a body that is no UTF-8, or nested or numbered beyond reading
            response = problem_response("not_json", 400, language)
        elif status >= 500:
            response = problem_response("failed", 500, language)
        else:
            return
        await response(scope, receive, send)


def build_chat(assistant: Assistant) -> gr.Blocks:
    """Return the page's controls, wired to ``assistant``."""
    words = _translations()
    desk = Desk(assistant)

    def answer(question: str, app: str, history: list[dict[str, Any]], all_apps: bool) -> dict[str, Any]:
        return desk.answer_turn(question, app, history, all_apps=all_apps)

    def suggest(app: str, language: str) -> str:
        return desk.suggest(app, language)

    built_for = assistant.apps()

    def renew() -> tuple[Any, Any]:
        """Offer the apps that the index has now, where it has changed since the page was built."""
        apps = assistant.apps()
        return (gr.skip(), gr.skip()) if apps == built_for else (_top(apps), gr.Dropdown(_choices(apps)))

    page: gr.Blocks
    with QuietBlocks(title=message("chat.title", "zh"), analytics_enabled=False, fill_height=True) as page:
        top = gr.HTML(_top(built_for), elem_id="wt-top", js_on_load=None)
        gr.HTML('<div id="wt-log"></div>', elem_id="wt-conversation", js_on_load=None)
        suggestions = gr.HTML(elem_id="wt-suggestions", js_on_load=None)
        with gr.Column(elem_id="wt-composer"):
            with gr.Row(elem_id="wt-controls"):
                app = gr.Dropdown(
                    _choices(built_for),
                    value="",
                    label=words("picker_label"),
                    elem_id="wt-picker",
                    filterable=True,
                )
                new_chat = gr.Button(words("new_chat"), elem_id="wt-new", size="sm")
            with gr.Row(elem_id="wt-entry"):
                question = gr.Textbox(
                    label=words("question_label"),
                    show_label=False,
                    placeholder=words("placeholder"),
                    max_length=MAX_QUESTION_CHARACTERS,
                    lines=1,
                    max_lines=5,
                    elem_id="wt-question",
                )
                send = gr.Button(words("send"), variant="primary", elem_id="wt-send")
        gr.HTML(f'<p class="wt-note">{_each("privacy")} {_links()}</p>', elem_id="wt-privacy", js_on_load=None)
        history = gr.JSON(visible=False)
        reply = gr.JSON(visible=False)
        language = gr.JSON(visible=False)
        all_apps = gr.JSON(visible=False)
        plain_call: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        asked = gr.on(
            [question.submit, send.click],
            answer,
            inputs=[question, app, history, all_apps],
            outputs=reply,
            js="(question, app) => wentiao.begin(question, app)",
            **plain_call,
        )
        asked.success(None, [reply, app], app, js="(reply, app) => wentiao.show(reply, app)", **plain_call)
        asked.failure(None, None, None, js="() => wentiao.fail()", **plain_call)
        app.change(
            suggest,
            inputs=[app, language],
            outputs=suggestions,
            js="(app) => wentiao.pick(app)",
            **plain_call,
        )
        new_chat.click(None, None, question, js="() => wentiao.reset()", **plain_call)
        page.load(renew, None, [top, app], **plain_call)
        page.load(None, None, None, js="() => wentiao.restore()", **plain_call)
    # No event goes through the queue, and its worker looks a thousand times a second whether one does: beside the
    # encoder that took a seventh of the time in which Python ran at all.
    page._queue.sleep_when_free = IDLE_QUEUE_SECONDS
    return page


def mount_chat(app: FastAPI, assistant: Assistant) -> None:
    """Put the chat page at the root of ``app``, behind every route that ``app`` has already."""
    app.add_middleware(CallRefusals)
    gr.mount_gradio_app(
        app,
        build_chat(assistant),
        path="/",
        app_kwargs={"telemetry": NO_TELEMETRY},
        i18n=_translations(),
        footer_links=[],
        run_history=False,
        show_error=False,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        max_file_size=0,
        theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
    )


def _translations() -> gr.I18n:
    return gr.I18n(**{locale: messages("chat", language) for locale, language in LOCALES.items()})


def _choices(apps: Sequence[str]) -> list[tuple[Any, str]]:
    return [(_translations()("all_apps"), ""), *((name, name) for name in apps)]


def _top(apps: Sequence[str]) -> str:
    return _header() + _welcome(apps)


def _header() -> str:
    return f'<header class="wt-header"><h1>{_each("name")}</h1><p>{_each("tagline")}</p></header>'


def _welcome(apps: Sequence[str]) -> str:
    examples = "".join(_examples(apps, language) for language in LANGUAGES)
    templates = "".join(
        f'<template id="wt-{name}-{HTML_LANG[language]}">{escape(message(f"chat.{name}", language))}</template>'
        for name in SCRIPT_WORDS
        for language in LANGUAGES
    )
    return (
        f'<section class="wt-welcome"><p>{_each("intro")}</p><h2>{_each("examples_title")}</h2>{examples}'
        f"</section>{templates}{_app_form(apps)}"
    )


def _app_form(apps: Sequence[str]) -> str:
    """Return what the page's script copies to where another app is chosen for a question."""
    options = "".join(f'<option lang="zh">{escape(name)}</option>' for name in apps)
    forms = (
        f'<template id="wt-form-{HTML_LANG[language]}"><span class="wt-form">'
        f'<select aria-label="{escape(message("chat.choose_app", language))}">{options}</select>'
        f'<button type="button" class="wt-of-app">{escape(message("chat.app_ask", language))}</button>'
        "</span></template>"
        for language in LANGUAGES
    )
    return "".join(forms)


def _examples(apps: Sequence[str], language: Language) -> str:
    """Return the example questions of a reader of ``language``; the last one shows that the other language will do."""
    other: Language = "zh" if language == "en" else "en"
    asked = [(name, language, apps[position % len(apps)]) for position, name in enumerate(EXAMPLES if apps else ())]
    asked += [("delete", other, apps[-1])] if apps else []
    buttons = []
    for name, spoken, app in asked:
        question = escape(message(f"chat.example_{name}", spoken, app=app))
        attributes = f'type="button" class="wt-choice" lang="{HTML_LANG[spoken]}"'
        buttons.append(f'<button {attributes} data-ask="{question}">{question}</button>')
    return f'<div {_shown_in(language)}><p class="wt-choices">{"".join(buttons)}</p></div>'


def _each(name: str) -> str:
    """Return a message in every language; the page's style shows the one of ``<html lang>``."""
    return "".join(
        f"<span {_shown_in(language)}>{escape(message(f'chat.{name}', language))}</span>" for language in LANGUAGES
    )


def _links() -> str:
    """Return the way to the page that compares apps, in every language as :func:`_each` has it."""
    return "".join(
        f'<a href="compare" {_shown_in(language)}>{escape(message("compare.link", language))}</a>'
        for language in LANGUAGES
    )


def _shown_in(language: Language) -> str:
    return f'class="wt-in-{language}" lang="{HTML_LANG[language]}"'
