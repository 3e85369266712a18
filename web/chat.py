"""The chat page: Gradio holds the controls and carries the calls, `web/render.py` writes the answers.

No state is kept here: the conversation lives in the browser's tab (`web/chat.js`), every event is one plain POST
outside Gradio's queue, and so any number of processes may serve one conversation.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from corpus.messages import message, messages
from retrieval.datatypes import Language, Turn
from retrieval.question import well_formed
from web.api import MAX_HISTORY_TURNS, MAX_QUESTION_CHARACTERS, answering
from web.language import HTML_LANG
from web.render import render_turn

if TYPE_CHECKING:
    from fastapi import FastAPI

    from retrieval import Assistant

LANGUAGES: tuple[Language, ...] = ("zh", "zh-Hant", "en")
LOCALES: dict[str, Language] = {"zh-CN": "zh", "zh-TW": "zh-Hant", "en": "en"}  # Gradio's names
EXAMPLES = ("delete", "contact", "share", "compare")
MAX_OFFERED_APPS = 8  # as many as `which_app` has rows


def answer_turn(assistant: Assistant, question: str, app: str, history: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Answer one question of the page; return what the page keeps of the turn: its HTML and the app understood.

    :param app: the picked app, empty for all.
    :param history: earlier turns, oldest first, each with ``question`` and ``app``.
    :raises ValueError: if question or history are longer than the page lets them be.
    :raises AnswerFailedError: if something breaks; the page then says so.
    """
    if len(question) > MAX_QUESTION_CHARACTERS or len(history) > MAX_HISTORY_TURNS:
        raise ValueError(f"at most {MAX_QUESTION_CHARACTERS} characters and {MAX_HISTORY_TURNS} turns are allowed")
    question = well_formed(question)
    with answering():
        turns = [Turn(turn["question"], turn["app"]) for turn in history]
        answer = assistant.ask(question, app=app or None, history=turns)
        apps = assistant.apps() if answer.status == "unknown_app" else ()
        near_apps = [name for name in apps if name in answer.text]  # the answer says which names resemble it
        offered = [name for name in apps if name not in near_apps]
        named_app = next((name for name in assistant.apps() if name != app and name in question), None) if app else None
        html = render_turn(
            question,
            answer,
            english=assistant.rendering,
            offered_apps=offered[:MAX_OFFERED_APPS],
            near_apps=near_apps,
            named_app=named_app,
        )
    return {"question": question, "app": answer.app, "html": html}


def build_chat(assistant: Assistant) -> gr.Blocks:
    """Return the page's controls, wired to ``assistant``."""
    words = _translations()

    def answer(question: str, app: str, history: list[dict[str, Any]]) -> dict[str, Any]:
        return answer_turn(assistant, question, app, history)

    page: gr.Blocks
    with gr.Blocks(title=message("chat.title", "zh"), analytics_enabled=False, fill_height=True) as page:
        gr.HTML(_header() + _welcome(assistant.apps()), elem_id="wt-top", js_on_load=None)
        gr.HTML('<div id="wt-log"></div>', elem_id="wt-conversation", js_on_load=None)
        with gr.Column(elem_id="wt-composer"):
            with gr.Row(elem_id="wt-controls"):
                app = gr.Dropdown(
                    [(words("all_apps"), ""), *((name, name) for name in assistant.apps())],
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
        history = gr.JSON(visible=False)
        reply = gr.JSON(visible=False)
        plain_call: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        asked = gr.on(
            [question.submit, send.click],
            answer,
            inputs=[question, app, history],
            outputs=reply,
            js="(question, app) => wentiao.begin(question, app)",
            **plain_call,
        )
        asked.success(None, reply, None, js="(reply) => wentiao.show(reply)", **plain_call)
        asked.failure(None, None, None, js="() => wentiao.fail()", **plain_call)
        new_chat.click(None, None, question, js="() => wentiao.reset()", **plain_call)
        page.load(None, None, None, js="() => wentiao.restore()", **plain_call)
    return page


def mount_chat(app: FastAPI, assistant: Assistant) -> None:
    """Put the chat page at the root of ``app``, behind every route that ``app`` has already."""
    gr.mount_gradio_app(
        app,
        build_chat(assistant),
        path="/",
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


def _header() -> str:
    return f'<header class="wt-header"><h1>{_each("name")}</h1><p>{_each("tagline")}</p></header>'


def _welcome(apps: Sequence[str]) -> str:
    examples = "".join(_examples(apps, language) for language in LANGUAGES)
    templates = "".join(
        f'<template id="wt-{name}-{HTML_LANG[language]}">{escape(message(f"chat.{name}", language))}</template>'
        for name in ("title", "log_label", "pending", "failure", "retry", "copied")
        for language in LANGUAGES
    )
    return (
        f'<section class="wt-welcome"><p>{_each("intro")}</p><h2>{_each("examples_title")}</h2>{examples}'
        f'<p class="wt-note">{_each("privacy")}</p></section>{templates}'
    )


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


def _shown_in(language: Language) -> str:
    return f'class="wt-in-{language}" lang="{HTML_LANG[language]}"'
