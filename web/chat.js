// The conversation: kept in this tab's sessionStorage, shown turn by turn. Gradio's events call `wentiao.*`.
"use strict";
window.wentiao = (() => {
  const KEY = "wentiao.turns";
  const KEPT_TURNS = 30;
  const SENT_TURNS = 10; // what the server accepts
  const CALL = /\/run\/predict$/;
  const replies = new WeakMap(); // of a turn's node
  let pending = null; // the question on its way: {question, app, allApps, node, call}
  let chosen = null; // {question, app, allApps} of a button, in place of what the controls hold

  // Half a letter, as the field's limit cuts one, would not come back as it went: it is replaced, as the server does.
  const whole = (text) => new TextDecoder().decode(new TextEncoder().encode(text));
  const byId = (id) => document.getElementById(id);
  const template = (name) => byId(`wt-${name}-${document.documentElement.dataset.lang}`);
  const words = (name) => template(name).content.textContent;
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
    return byId("wt-log").lastElementChild;
  };
  const appendReply = (reply) => {
    const node = append(reply.html);
    replies.set(node, reply);
    for (const clause of node.querySelectorAll(".wt-clause")) {
      if (clause.scrollHeight <= clause.clientHeight) continue; // a long one scrolls: by keys too, from the quote on
      clause.tabIndex = 0;
      const mark = clause.querySelector("mark");
      if (mark) clause.scrollTop = mark.getBoundingClientRect().top - clause.getBoundingClientRect().top - 40;
    }
    return node;
  };
  const makeButton = (text, data) => {
    const button = element("button", "wt-choice", text);
    button.type = "button";
    Object.assign(button.dataset, data);
    return button;
  };
  const show = (node) => {
    const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
    node.scrollIntoView({ block: "start", behavior: reduced ? "auto" : "smooth" });
  };

  // An error stops the event before its request: Gradio takes what this returns as the request's inputs.
  function begin(question, app) {
    const asked = chosen || { question: whole(question || "").trim(), app: app || "", allApps: false };
    chosen = null;
    if (pending || !asked.question) throw new Error("nothing to ask");
    const node = append('<article class="wt-turn wt-pending"></article>');
    const waiting = element("div", "wt-wait", "");
    waiting.append(element("p", "wt-waiting", words("pending")), makeButton(words("stop"), { stop: "" }));
    node.append(element("p", "wt-question", asked.question), waiting);
    pending = { ...asked, node, call: new AbortController() };
    setQuestion("");
    byId("wt-suggestions").classList.add("wt-spent");
    setBusy(true);
    show(node);
    const history = load().slice(-SENT_TURNS).map((turn) => ({ question: turn.question, app: turn.app }));
    return [asked.question, asked.app, history, asked.allApps];
  }

  // Returns what the picker is to hold from now on: nothing, once the app was taken off a question.
  function finish(reply, picked) {
    if (!pending || pending.question !== reply.asked) return picked; // a new chat began meanwhile
    if (reply.unavailable) {
      pending.refusal = reply.unavailable;
      fail();
      return picked;
    }
    const { allApps, node } = pending;
    node.remove();
    save([...load(), reply]);
    show(appendReply(reply));
    pending = null;
    setBusy(false);
    return allApps ? "" : picked;
  }

  function fail() {
    if (!pending) return; // `begin` refused, or the call was given up
    const { question, app, allApps, node, refusal } = pending;
    node.querySelector(".wt-wait").remove();
    const failure = element("div", "wt-answer wt-failed", "");
    const retry = { ask: question, app, ...(allApps && { allApps: "" }) };
    failure.append(element("p", "wt-text", words(refusal || "failure")), makeButton(words("retry"), retry));
    failure.setAttribute("role", "alert");
    node.append(failure);
    pending = null;
    setBusy(false);
    show(node);
  }

  function stop() {
    const { question, node, call } = pending;
    pending = null;
    call.abort();
    node.remove();
    setBusy(false);
    const field = document.querySelector("#wt-question textarea");
    setQuestion([question, field.value].filter(Boolean).join("\n")); // to be edited, beside what was typed meanwhile
    field.focus();
  }

  function reset() {
    sessionStorage.removeItem(KEY);
    byId("wt-log").replaceChildren();
    if (pending) pending.call.abort();
    pending = null;
    setBusy(false);
    return "";
  }

  function restore() {
    document.documentElement.lang = document.documentElement.dataset.lang; // Gradio has set the browser's
    document.title = words("title");
    byId("wt-loading").remove();
    const log = byId("wt-log");
    log.setAttribute("role", "log");
    log.setAttribute("aria-live", "polite");
    log.setAttribute("aria-label", words("log_label"));
    load().forEach(appendReply);
    setBusy(false);
    if (log.lastElementChild) log.lastElementChild.scrollIntoView({ block: "start" });
    // On a touch screen the focus would bring up the keyboard over the examples.
    if (matchMedia("(pointer: fine)").matches) document.querySelector("#wt-question textarea").focus();
  }

  function choose(button) {
    const failed = button.closest(".wt-pending");
    if (failed) failed.remove();
    const { ask, app, allApps } = button.dataset;
    chosen = { question: ask, app: app || "", allApps: allApps !== undefined };
    byId("wt-send").click();
  }

  function pick(app) {
    byId("wt-suggestions").classList.remove("wt-spent");
    return [app || "", document.documentElement.dataset.lang];
  }

  async function copy(button) {
    const { copy: quoted, link } = button.dataset;
    const text = link ? `${quoted}<${new URL(link, document.baseURI).href}>` : quoted;
    try {
      await navigator.clipboard.writeText(text);
    } catch (error) { // plain http away from localhost, or no permission: the old way
      const holder = button.parentElement.appendChild(element("textarea", "wt-hidden", text));
      holder.select();
      const copied = document.execCommand("copy");
      holder.remove();
      button.focus({ preventScroll: true });
      if (!copied) return;
    }
    const note = element("span", "wt-copied", words("copied"));
    note.setAttribute("role", "status");
    button.append(note);
    setTimeout(() => note.remove(), 1500);
  }

  function saveEvidence(button) {
    const { evidence } = replies.get(button.closest(".wt-turn"));
    const link = element("a", "", "");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(evidence, null, 2)], { type: "application/json" }));
    link.download = `wentiao-evidence-${evidence.time.slice(0, 19).replace(/:/g, "-")}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // Safari reads it after the click
  }

  function changeApp(button) {
    const open = button.parentElement.querySelector(".wt-form");
    button.setAttribute("aria-expanded", String(!open));
    if (open) {
      open.remove();
      return;
    }
    button.after(byId(`wt-form-${document.documentElement.dataset.lang}`).content.cloneNode(true));
    const [select, ask] = button.nextElementSibling.children;
    const current = button.parentElement.querySelector(".wt-app").textContent;
    for (const option of [...select.options]) if (option.value === current) option.remove();
    ask.dataset.ask = button.dataset.change;
    ask.dataset.app = select.value;
    select.addEventListener("change", () => (ask.dataset.app = select.value));
    select.focus();
  }

  const actions = { stop, copy, evidence: saveEvidence, change: changeApp, ask: choose };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    const action = button && Object.keys(actions).find((name) => button.dataset[name] !== undefined);
    if (action && Boolean(pending) === (action === "stop")) actions[action](button);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && pending && !event.isComposing) stop();
  });
  const refusalOf = (body) => {
    try {
      const kind = String(JSON.parse(body).type).split(":").pop().replaceAll("-", "_");
      return template(kind) ? kind : undefined;
    } catch (error) {
      return undefined; // no problem of ours: something between here and the server broke
    }
  };
  // Gradio gives no hold on its call, and one that breaks off makes it give up the page: it gets a failure instead.
  const send = window.fetch;
  window.fetch = async (input, options) => {
    if (!CALL.test(String(input))) return send(input, options);
    const asked = pending;
    try {
      const response = await send(input, asked ? { ...options, signal: asked.call.signal } : options);
      const body = await response.text();
      if (asked && [429, 503].includes(response.status)) asked.refusal = refusalOf(body); // before the question was looked at
      return new Response(body, response);
    } catch (error) {
      if (asked) asked.refusal = "offline"; // nothing is shown of a question that was stopped
      return new Response("{}", { status: 503 });
    }
  };
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
  return { begin, show: finish, fail, reset, restore, pick };
})();
