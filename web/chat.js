// The conversation: kept in this tab's sessionStorage, shown turn by turn. Gradio's events call `wentiao.*`.
"use strict";
window.wentiao = (() => {
  const KEY = "wentiao.turns";
  const KEPT_TURNS = 30;
  const SENT_TURNS = 10; // what the server accepts
  let pending = null; // the question on its way: {question, app, node}
  let chosen = null; // {question, app} of a button, in place of what the controls hold

  const byId = (id) => document.getElementById(id);
  const words = (name) => byId(`wt-${name}-${document.documentElement.dataset.lang}`).content.textContent;
  const load = () => {
    try {
      return JSON.parse(sessionStorage.getItem(KEY)) || [];
    } catch (error) {
      return [];
    }
  };
  const save = (turns) => {
    try {
      sessionStorage.setItem(KEY, JSON.stringify(turns.slice(-KEPT_TURNS)));
    } catch (error) {
      console.warn("The conversation cannot be kept in this tab", error.name);
    }
  };
  const element = (tag, className, text) => {
    const node = document.createElement(tag);
    node.className = className;
    node.textContent = text;
    return node;
  };
  const setQuestion = (text) => {
    const field = document.querySelector("#wt-question textarea");
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const setBusy = (busy) => {
    byId("wt-send").disabled = busy;
    byId("wt-log").setAttribute("aria-busy", String(busy));
    document.body.classList.toggle("wt-talking", busy || byId("wt-log").childElementCount > 0);
  };
  const append = (html) => {
    byId("wt-log").insertAdjacentHTML("beforeend", html);
    const node = byId("wt-log").lastElementChild;
    for (const mark of node.querySelectorAll(".wt-clause mark")) {
      const clause = mark.closest(".wt-clause"); // a long one scrolls: show the sentence that answers
      clause.scrollTop = mark.getBoundingClientRect().top - clause.getBoundingClientRect().top - 40;
    }
    return node;
  };
  const show = (node) => {
    const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
    node.scrollIntoView({ block: "start", behavior: reduced ? "auto" : "smooth" });
  };

  // An error stops the event before its request: Gradio takes what this returns as the request's inputs.
  function begin(question, app) {
    const asked = chosen || { question: (question || "").trim(), app: app || "" };
    chosen = null;
    if (pending || !asked.question) throw new Error("nothing to ask");
    const node = append('<article class="wt-turn wt-pending"></article>');
    node.append(element("p", "wt-question", asked.question), element("p", "wt-waiting", words("pending")));
    pending = { ...asked, node };
    setQuestion("");
    setBusy(true);
    show(node);
    const history = load().slice(-SENT_TURNS).map((turn) => ({ question: turn.question, app: turn.app }));
    return [asked.question, asked.app, history];
  }

  function finish(reply) {
    if (!pending || pending.question !== reply.question) return; // a new chat began meanwhile
    pending.node.remove();
    save([...load(), reply]);
    show(append(reply.html));
    pending = null;
    setBusy(false);
  }

  function fail() {
    if (!pending) return; // `begin` refused
    const { question, app, node } = pending;
    node.querySelector(".wt-waiting").remove();
    const failure = element("div", "wt-answer wt-failed", "");
    const retry = element("button", "wt-choice", words("retry"));
    retry.type = "button";
    Object.assign(retry.dataset, { ask: question, app });
    failure.append(element("p", "wt-text", words("failure")), retry);
    failure.setAttribute("role", "alert");
    node.append(failure);
    pending = null;
    setBusy(false);
    show(node);
  }

  function reset() {
    sessionStorage.removeItem(KEY);
    byId("wt-log").replaceChildren();
    pending = null;
    setBusy(false);
    return "";
  }

  function restore() {
    document.documentElement.lang = document.documentElement.dataset.lang; // Gradio has set the browser's
    document.title = words("title");
    const log = byId("wt-log");
    log.setAttribute("role", "log");
    log.setAttribute("aria-live", "polite");
    log.setAttribute("aria-label", words("log_label"));
    load().forEach((turn) => append(turn.html));
    setBusy(false);
    if (log.lastElementChild) log.lastElementChild.scrollIntoView({ block: "start" });
    // On a touch screen the focus would bring up the keyboard over the examples.
    if (matchMedia("(pointer: fine)").matches) document.querySelector("#wt-question textarea").focus();
  }

  function choose(button) {
    const failed = button.closest(".wt-pending");
    if (failed) failed.remove();
    const app = button.dataset.app;
    chosen = { question: button.dataset.ask, app: app === undefined ? "" : app };
    byId("wt-send").click();
  }

  async function copy(button) {
    if (!navigator.clipboard) return; // plain http away from localhost: the text can still be selected
    await navigator.clipboard.writeText(button.dataset.copy);
    const note = element("span", "wt-copied", words("copied"));
    note.setAttribute("role", "status");
    button.append(note);
    setTimeout(() => note.remove(), 1500);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-ask], [data-copy]");
    if (!button || pending) return;
    if (button.dataset.copy === undefined) choose(button);
    else copy(button);
  });
  // Enter that ends a word in an input method (229 where isComposing is unset: Safari) must not send it.
  for (const type of ["keydown", "keypress"]) {
    document.addEventListener(
      type,
      (event) => {
        const composing = event.isComposing || event.keyCode === 229;
        if (event.key === "Enter" && event.target.closest("#wt-question") && (composing || pending)) {
          event.stopPropagation();
          if (pending) event.preventDefault();
        }
      },
      true,
    );
  }
  return { begin, show: finish, fail, reset, restore };
})();
