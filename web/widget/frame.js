/* The frame of the widget: one conversation, told what to do by the page around it. Safari 15, Chrome 87: ES2019. */
(() => {
  "use strict";
  const DATA = JSON.parse(document.getElementById("data").textContent);
  const ASK_TEXT = 500; // characters that the server accepts
  const SENT_TURNS = 10; // what the server accepts
  const KEPT_TURNS = 30;
  const SUGGESTIONS = ["suggestion_delete", "suggestion_share", "suggestion_contact"];
  const ORIGINS = DATA.origins.length ? DATA.origins : [location.origin];
  const EMBEDDED = window.parent !== window;
  const HTML = document.documentElement;
  const DARK = "(prefers-color-scheme: dark)";
  // The sheets stand before this script and have loaded; a theme that was asked for switches their dark parts.
  const darkRules = [].concat(...Array.from(document.styleSheets).map((sheet) => Array.from(sheet.cssRules)))
    .filter((rule) => rule.media && rule.media.mediaText === DARK);
  const byId = (id) => document.getElementById(id);
  const log = byId("log"), turns = byId("turns"), field = byId("question"), picker = byId("app"), send = byId("send");

  let config = { id: "0", app: "", apps: [], lang: "", theme: "auto", color: "", ink: "", title: "", suggestions: [], questionText: false };
  let parentOrigin = "";
  let scope = DATA.scope;
  let kept = []; // the conversation: {question, app, html}
  let pending = null; // the question on its way: {question, app, node, controller}

  const words = () => DATA.words[config.lang] || DATA.words.zh;
  const element = (tag, className, text) => {
    const node = document.createElement(tag);
    node.className = className;
    node.textContent = text;
    return node;
  };
  const post = (message) => {
    if (parentOrigin) parent.postMessage(Object.assign({ wentiao: 1 }, message), parentOrigin);
  };
  const emit = (name, detail, question) => {
    if (config.questionText && question) detail.question = question;
    post({ type: "event", name, detail });
  };

  // --- what the tab keeps: nothing before the first question
  let key = ""; // of the widget as it was at its start, whatever its attributes become
  const store = (change) => {
    try {
      return change(sessionStorage);
    } catch (error) {
      return null; // storage is closed to frames here: the conversation lasts as long as the page
    }
  };
  const save = () => store((storage) => storage.setItem(key, JSON.stringify(kept.slice(-KEPT_TURNS))));
  const restore = () => {
    key = JSON.stringify(["wentiao", parentOrigin, DATA.site, config.app, config.apps, config.id]);
    kept = JSON.parse(store((storage) => storage.getItem(key)) || "[]");
    kept.forEach((turn) => append(turn.html));
    log.scrollTop = log.scrollHeight;
    showWelcome();
  };

  // --- how it looks
  const setTheme = () => {
    HTML.style.colorScheme = config.theme === "auto" ? "" : config.theme;
    const wanted = { light: "not all", dark: "all" }[config.theme];
    darkRules.forEach((rule) => { rule.media.mediaText = wanted || DARK; });
    if (config.color) {
      HTML.style.setProperty("--wt-primary", config.color);
      HTML.style.setProperty("--wt-primary-ink", config.ink);
    }
  };
  const allowedApps = () => (config.apps.length ? config.apps : config.app ? [config.app] : DATA.apps);
  const showApps = () => {
    const apps = allowedApps();
    const all = element("option", "", words().all_apps);
    all.value = "";
    picker.replaceChildren(all);
    apps.forEach((app) => picker.add(element("option", "", app)));
    picker.value = apps.length === 1 ? apps[0] : apps.indexOf(config.app) < 0 ? "" : config.app;
    byId("apps").hidden = apps.length === 1;
  };
  const showWords = () => {
    const said = words();
    const title = config.title || said.title;
    HTML.lang = said.lang;
    document.title = title;
    byId("title").textContent = title;
    byId("intro").textContent = said.intro;
    byId("privacy").textContent = said.privacy;
    byId("apps").firstElementChild.textContent = said.picker_label;
    log.setAttribute("aria-label", said.log_label);
    field.setAttribute("aria-label", said.question_label);
    field.placeholder = said.placeholder;
    ["new", "close"].forEach((id) => {
      byId(id).title = said[id === "new" ? "new_chat" : id];
      byId(id).setAttribute("aria-label", byId(id).title);
    });
    byId("close").hidden = !EMBEDDED;
    showBusy();
    const suggested = config.suggestions.length ? config.suggestions : SUGGESTIONS.map((name) => said[name]);
    byId("suggestions").replaceChildren(
      ...suggested.map((question) => {
        const item = element("li", "", "");
        const button = item.appendChild(element("button", "wt-choice", question));
        button.type = "button";
        button.dataset.ask = question;
        return item;
      }),
    );
  };
  const showWelcome = () => { byId("welcome").hidden = turns.childElementCount > 0; };
  const showBusy = () => {
    send.textContent = pending ? words().stop : words().send;
    turns.setAttribute("aria-busy", String(Boolean(pending)));
  };
  const grow = () => {
    field.style.height = "auto";
    field.style.height = `${Math.min(field.scrollHeight + 2, 140)}px`;
  };
  const append = (html) => {
    turns.insertAdjacentHTML("beforeend", html); // written and escaped by web/render.py
    const node = turns.lastElementChild;
    node.querySelectorAll(".wt-clause").forEach((clause) => {
      if (clause.scrollHeight <= clause.clientHeight + 1) return;
      clause.tabIndex = 0; // a long one scrolls, by keyboard too, and begins at the sentence that answers
      const mark = clause.querySelector("mark");
      if (mark) clause.scrollTop = mark.getBoundingClientRect().top - clause.getBoundingClientRect().top - 30;
    });
    return node;
  };
  // Not scrollIntoView: it would move the page around the frame as well.
  const show = (node) => { log.scrollTop += node.getBoundingClientRect().top - log.getBoundingClientRect().top - 8; };
  const announce = (text) => { byId("live").textContent = text; };
  const focusField = () => {
    // On a touch screen the keyboard would come up over the suggestions.
    const target = matchMedia("(pointer: coarse)").matches ? byId("title") : field;
    target.focus({ preventScroll: true });
  };

  // --- asking
  // What never came, or not to its end, was not refused and did not break: the server cannot be reached.
  const read = async (url, options) => {
    try {
      const response = await fetch(url, options);
      return { response, body: await response.text() };
    } catch (error) {
      throw Object.assign(error, { offline: true });
    }
  };
  const requestAnswer = (question, app, controller) =>
    read("widget/ask", {
      method: "POST",
      headers: { "Content-Type": "application/json", "Accept-Language": HTML.lang },
      body: JSON.stringify({
        question,
        app: app || null,
        apps: config.apps,
        history: kept.slice(-SENT_TURNS).map((turn) => ({ question: turn.question, app: turn.app })),
        scope,
      }),
      signal: controller.signal,
      cache: "no-store",
    });
  const renewScope = async (controller) => {
    const page = await read(location.href, { signal: controller.signal, cache: "no-store" });
    const data = new DOMParser().parseFromString(page.body, "text/html").getElementById("data");
    if (data) scope = JSON.parse(data.textContent).scope;
  };
  const receiveAnswer = async (question, app, controller) => {
    let { response, body } = await requestAnswer(question, app, controller);
    let reply = JSON.parse(body);
    if (/:scope-invalid$/.test(reply.type)) {
      await renewScope(controller); // an hour has passed, or the server was started anew
      ({ response, body } = await requestAnswer(question, app, controller));
      reply = JSON.parse(body);
    }
    if (!response.ok) throw Object.assign(new Error(reply.detail), { problem: String(reply.type).split(":").pop(), status: response.status });
    return reply;
  };
  const ask = async (asked, app) => {
    const question = asked.trim().slice(0, ASK_TEXT);
    if (pending || !question) return;
    const node = turns.appendChild(element("article", "wt-turn wt-pending", ""));
    node.append(element("p", "wt-question", question), element("p", "wt-waiting", words().pending));
    const mine = { question, app, node, controller: new AbortController() };
    pending = mine;
    announce("");
    showWelcome();
    showBusy();
    show(node);
    emit("question", { app: app || null }, question);
    try {
      const reply = await receiveAnswer(question, app, mine.controller);
      if (pending !== mine) return; // a new chat began meanwhile
      node.remove();
      const answer = reply.answer;
      kept.push({ question, app: answer.app, html: reply.html });
      save();
      const turn = append(reply.html);
      show(turn);
      announce(`${turn.querySelector(".wt-status").textContent}: ${answer.text}`);
      emit("answer", { status: answer.status, app: answer.app, confidence: answer.confidence, citations: answer.citations.length }, question);
    } catch (error) {
      if (pending === mine) fail(mine, error);
    }
    if (pending === mine) pending = null;
    showBusy();
  };
  const fail = (asked, error) => {
    const stopped = error.name === "AbortError";
    const outside = error.problem === "app-outside-scope";
    const refused = words()[String(error.problem).replace(/-/g, "_")];
    const text = stopped ? words().stopped : outside ? error.message : refused || words()[error.offline ? "offline" : "failure"];
    asked.node.querySelector(".wt-waiting").remove();
    const failure = asked.node.appendChild(element("div", `wt-answer ${stopped ? "wt-stopped" : "wt-failed"}`, ""));
    failure.append(element("p", "wt-text", text));
    if (!outside) {
      const retry = failure.appendChild(element("button", "wt-choice", words().retry));
      retry.type = "button";
      Object.assign(retry.dataset, { ask: asked.question, app: asked.app });
    }
    announce(text);
    show(asked.node);
    if (!stopped) emit("error", { code: error.problem || "network", status: error.status || 0 }, asked.question);
  };
  const newChat = () => {
    if (pending) pending.controller.abort();
    pending = null;
    kept = [];
    store((storage) => storage.removeItem(key));
    turns.replaceChildren();
    announce("");
    showWelcome();
    showBusy();
  };
  const submit = () => {
    if (pending || !field.value.trim()) return;
    const question = field.value;
    field.value = "";
    grow();
    ask(question, picker.value);
  };
  const copy = async (button) => {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
    } catch (error) { // no permission in this frame, or plain http: the old way
      const holder = document.body.appendChild(element("textarea", "wt-hidden", text));
      holder.select();
      const copied = document.execCommand("copy");
      holder.remove();
      button.focus({ preventScroll: true });
      if (!copied) return;
    }
    const note = button.appendChild(element("span", "wt-copied", words().copied));
    announce(words().copied);
    setTimeout(() => note.remove(), 1500);
  };

  // --- what the page around it may say
  const text = (value) => typeof value === "string" && value.length <= 2000;
  const texts = (value) => Array.isArray(value) && value.length <= 200 && value.every(text);
  const isConfig = (given) =>
    Boolean(given) &&
    ["id", "app", "lang", "theme", "color", "ink", "title"].every((name) => text(given[name])) &&
    [given.color, given.ink].every((color) => /^#[\da-f]{3,6}$/i.test(color)) &&
    ["apps", "suggestions"].every((name) => texts(given[name])) &&
    typeof given.questionText === "boolean";
  const apply = (given) => {
    config = given;
    setTheme();
    showApps();
    showWords();
    document.body.hidden = false; // until now nothing here would have answered
  };
  const focusEdge = (edge) => {
    if (!edge) return focusField();
    const stops = Array.from(document.querySelectorAll("button, a[href], select, textarea, [tabindex='0']"));
    const seen = stops.filter((node) => node.getClientRects().length);
    return seen[edge === "first" ? 0 : seen.length - 1].focus();
  };
  const HANDLERS = {
    config: (data) => { if (isConfig(data.config)) apply(data.config); },
    ask: (data) => {
      if (!text(data.question)) return;
      if (data.send === true && !pending) {
        ask(data.question, picker.value);
        return;
      }
      field.value = data.question.slice(0, ASK_TEXT);
      grow();
    },
    "new-chat": newChat,
    focus: (data) => focusEdge(data.edge),
  };
  window.addEventListener("message", (event) => {
    const data = event.data;
    if (event.source !== window.parent || !EMBEDDED || !data || data.wentiao !== 1) return;
    if (data.type === "init") {
      if (ORIGINS.indexOf(event.origin) < 0 && ORIGINS[0] !== "*") return;
      if (parentOrigin || !isConfig(data.config)) return;
      parentOrigin = event.origin;
      apply(data.config);
      restore();
      post({ type: "ready" });
    } else if (parentOrigin && event.origin === parentOrigin && Object.prototype.hasOwnProperty.call(HANDLERS, data.type)) {
      HANDLERS[data.type](data);
    }
  });

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href*='read/']");
    if (link) {
      const url = new URL(link.href);
      const app = decodeURIComponent(url.pathname.split("/read/").pop());
      emit("citation-click", { app, clauseId: url.searchParams.get("clause"), url: url.href });
    }
    const button = event.target.closest("[data-ask], [data-copy]");
    if (!button) return;
    if (button.dataset.copy !== undefined) {
      copy(button);
      return;
    }
    if (pending) return;
    const failed = button.closest(".wt-pending");
    const app = button.dataset.app === undefined ? picker.value : button.dataset.app;
    if (failed) failed.remove();
    ask(button.dataset.ask, app);
    log.focus({ preventScroll: true }); // the button may be gone
  });
  document.addEventListener("keydown", (event) => {
    const composing = event.isComposing || event.keyCode === 229; // 229 where isComposing is unset: Safari
    if (composing) return;
    if (event.key === "Escape") post({ type: "close" });
    if (event.key === "Enter" && !event.shiftKey && event.target === field) {
      event.preventDefault();
      submit();
    }
  });
  field.addEventListener("input", grow);
  byId("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    if (pending) pending.controller.abort();
    else submit();
  });
  byId("new").addEventListener("click", () => {
    newChat();
    focusField();
  });
  byId("close").addEventListener("click", () => post({ type: "close" }));
  if (!EMBEDDED) {
    config.lang = /^zh-(hant|tw|hk|mo)/i.test(navigator.language) ? "zh-Hant" : /^zh/i.test(navigator.language) ? "zh" : "en";
    apply(config);
    restore();
  }
})();
