// The page that asks many apps the same. Nothing of it is kept. Safari 15, Chrome 87: ES2019.
(() => {
  "use strict";
  const DATA = JSON.parse(document.getElementById("data").textContent);
  const SHOWN_CHIPS = 12;
  const REDRAW = 120; // milliseconds between two drawings of a table that fills
  const byId = (id) => document.getElementById(id);
  const field = byId("question"), rows = byId("rows"), boxes = Array.from(byId("apps").querySelectorAll("input"));
  const order = new Intl.Collator(DATA.language, { numeric: true });

  const say = (name, values) =>
    DATA.words[name].replace(/\{(\w+)\}/g, (found, key) => (values && key in values ? values[key] : found));
  const element = (tag, className, text) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text) node.textContent = text;
    return node;
  };
  const button = (text, act) => {
    const node = element("button", "", text);
    node.type = "button";
    node.addEventListener("click", act);
    return node;
  };
  const show = (node, text) => {
    node.textContent = text || "";
    node.hidden = !text;
  };
  const post = (path, body, signal) =>
    fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal });
  const detailOf = (response) => response.json().then((problem) => problem.detail, () => say("broken"));

  // --- which apps
  const chosen = () => boxes.filter((box) => box.checked).map((box) => box.value);
  const listed = () => boxes.filter((box) => !box.closest("li").hidden);
  const choose = (wanted, of) => {
    (of || boxes).forEach((box) => { box.checked = wanted(box.value); });
    showChosen();
  };
  const drop = (app) => {
    const place = chosen().indexOf(app);
    choose((name) => name !== app, boxes.filter((box) => box.value === app));
    const left = byId("chips").querySelectorAll("button");
    (left[Math.min(place, left.length - 1)] || byId("go")).focus();
  };
  const chip = (app) => {
    const node = button(`${app} ×`, () => drop(app));
    node.setAttribute("aria-label", say("remove", { app }));
    node.lang = "zh";
    return node;
  };
  const showChosen = () => {
    const apps = chosen();
    const isAll = apps.length === boxes.length;
    byId("chosen").textContent = say("chosen", { count: apps.length, total: boxes.length });
    const chips = isAll ? [element("span", "", say("all_chosen", { count: apps.length }))] : apps.slice(0, SHOWN_CHIPS).map(chip);
    if (!isAll && apps.length > SHOWN_CHIPS) {
      chips.push(element("span", "", say("more_chosen", { count: apps.length - SHOWN_CHIPS })));
    }
    byId("chips").replaceChildren(...chips.map((node) => {
      const item = element("li");
      item.append(node);
      return item;
    }));
    byId("chips").hidden = apps.length === 0;
  };
  byId("apps").addEventListener("change", showChosen);
  byId("choose").addEventListener("click", () => choose(() => true, listed()));
  byId("drop").addEventListener("click", () => choose(() => false, listed()));
  byId("find").addEventListener("input", () => {
    const wanted = byId("find").value.trim().toLowerCase();
    boxes.forEach((box) => { box.closest("li").hidden = box.dataset.find.indexOf(wanted) < 0; });
    byId("found").textContent = wanted ? say("found", { count: listed().length }) : "";
  });
  byId("find").addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault(); // it would start the comparison
  });

  // --- what to ask
  const isTopic = () => byId("ask").elements.kind.value === "topic";
  const showKind = () => {
    byId("by-topic").hidden = !isTopic();
    byId("by-question").hidden = isTopic();
  };
  Array.from(byId("ask").elements.kind).forEach((radio) => radio.addEventListener("change", showKind));
  const misfit = (question, apps) => {
    const given = Array.from(question).length;
    if (!isTopic() && !given) return [say("blank"), field];
    if (!isTopic() && given > DATA.maxQuestion) return [say("too_long", { given, allowed: DATA.maxQuestion }), field];
    if (!apps.length) return [say("no_app"), byId("find")];
    if (apps.length > DATA.maxApps) return [say("too_many", { given: apps.length, allowed: DATA.maxApps }), byId("find")];
    return null;
  };
  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    const question = field.value.trim(), apps = chosen(), wrong = misfit(question, apps);
    show(byId("problem"), wrong && wrong[0]);
    field.setAttribute("aria-invalid", String(Boolean(wrong) && wrong[1] === field));
    if (wrong) {
      if (wrong[1] !== field) byId("chooser").open = true;
      wrong[1].focus();
      return;
    }
    const topic = byId("topic");
    const title = isTopic()
      ? say("result_topic", { subject: topic.options[topic.selectedIndex].text })
      : say("result_question", { subject: question });
    begin(isTopic() ? { topic: topic.value } : { question }, title, apps);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    byId("go").click();
  });

  // --- the comparison that is shown
  let run = { subject: {}, apps: [], lines: [], total: 0, call: null };
  let timer = 0;
  const begin = (subject, title, apps) => {
    if (run.call) run.call.abort();
    run = { subject, apps, lines: [], total: apps.length, call: null };
    byId("subject").textContent = title;
    byId("status").value = byId("text").value = "";
    byId("notices").replaceChildren();
    rows.replaceChildren();
    show(byId("exported"), "");
    sortBy("", "none");
    byId("result").hidden = false;
    ask(apps);
    byId("subject").focus({ preventScroll: true });
    byId("result").scrollIntoView({ block: "start" });
  };
  const missing = () => {
    const done = new Set(run.lines.map((line) => line.app));
    return run.apps.filter((app) => !done.has(app));
  };
  const ask = async (apps) => {
    const current = run, call = new AbortController();
    current.call = call;
    show(byId("failure"), "");
    byId("again").hidden = true;
    byId("running").hidden = false;
    byId("state").textContent = say("running", { total: apps.length });
    draw();
    let outcome;
    try {
      const response = await post("compare/rows", Object.assign({ apps }, current.subject), call.signal);
      outcome = response.ok ? await read(response.body.getReader(), current) : { failure: await detailOf(response) };
    } catch (error) { // broken off: by the reader of the page, or by the network
      outcome = call.signal.aborted ? { isStopped: true } : {};
    }
    if (run === current) finish(outcome);
  };
  const read = async (reader, current) => {
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const part = await reader.read();
      if (part.done) return {}; // without its last event: broken off
      text += decoder.decode(part.value, { stream: true });
      const events = text.split("\n\n");
      text = events.pop();
      for (const event of events) {
        const [name, data] = event.split("\n").map((line) => line.slice(line.indexOf(": ") + 2));
        const outcome = take(name, JSON.parse(data), current);
        if (outcome) return outcome;
      }
    }
  };
  const take = (name, data, current) => {
    if (name === "row") {
      current.lines.push(Object.assign(data, { node: drawLine(data), place: current.lines.length }));
      if (run === current && !timer) timer = setTimeout(draw, REDRAW);
    }
    if (name === "start") {
      current.total = Math.max(current.total, current.lines.length + data.total);
      if (run === current) notice(data);
    }
    if (name === "declined") return { declined: data.detail };
    if (name === "error") return { failure: data.detail };
    return name === "done" ? { isDone: true } : null;
  };
  const finish = (outcome) => {
    const wasOnStop = document.activeElement === byId("stop");
    const counts = { count: run.lines.length, total: run.total };
    run.call = null;
    byId("running").hidden = true;
    byId("state").textContent = "";
    if (outcome.isDone) {
      byId("state").textContent = say("finished", stated());
    } else if (outcome.declined) {
      show(byId("failure"), `${outcome.declined} ${say("off_topic_hint")}`);
    } else if (outcome.isStopped) {
      byId("state").textContent = say("stopped", counts);
    } else {
      show(byId("failure"), [say("failed", counts), outcome.failure].filter(Boolean).join(" "));
    }
    const again = byId("again").firstElementChild;
    byId("again").hidden = Boolean(outcome.isDone || outcome.declined);
    again.textContent = run.lines.length ? say("resume", { count: missing().length }) : say("retry");
    if (!byId("again").hidden && !missing().length) byId("again").hidden = true;
    draw();
    if (wasOnStop) (byId("again").hidden ? byId("subject") : again).focus();
  };
  const notice = (data) => {
    const told = [];
    if (data.unknown.length) told.push(element("p", "", say("unknown", { apps: data.unknown.join("、") })));
    const apps = data.named.join("、");
    if (apps && data.named.slice().sort().join() !== run.apps.slice().sort().join()) {
      const node = element("p", "", say("named", { apps, count: run.apps.length }));
      node.append(button(say("only_named", { apps }), () => {
        choose((app) => data.named.indexOf(app) >= 0);
        byId("go").click();
      }));
      told.push(node);
    }
    byId("notices").replaceChildren(...told);
  };
  const stop = () => { if (run.call) run.call.abort(); };
  byId("stop").addEventListener("click", stop);
  byId("again").firstElementChild.addEventListener("click", () => {
    ask(missing());
    byId("subject").focus({ preventScroll: true });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.isComposing) stop();
  });

  // --- a line of the table
  const factsOf = (line) => line.facts.map((fact) => `${DATA.facts[fact.kind]}: ${fact.text}`).join("\n");
  const dateOf = (line) => (line.policy_id ? line.date || say("undated") : "");
  const statusOf = (line) => say(`status_${line.status}`);
  const placeOf = (line) => [line.label, line.path.join(" › ")].filter(Boolean).join(" ");
  const drawLine = (line) => {
    const node = element("tr", line.status);
    const cell = (name, className, content, tag) => {
      const made = element(tag || "td", className);
      made.setAttribute("role", tag ? "rowheader" : "cell");
      made.append(...content);
      node.append(made);
      return made;
    };
    node.setAttribute("role", "row");
    const app = cell("app", "", [line.app], "th");
    app.scope = "row";
    app.lang = "zh";
    cell("status", "", [element("span", "status", statusOf(line))]);
    cell("text", "said", [line.text]);
    const list = element("ul");
    line.facts.forEach((fact) => {
      const item = element("li");
      const text = element("span", "", fact.text);
      text.lang = "zh";
      item.append(element("span", "soft", `${DATA.facts[fact.kind]} `), text);
      list.append(item);
    });
    cell("facts", "", line.facts.length ? [list] : []);
    cell("citation", "", line.url ? citation(line) : []);
    const dated = line.policy_id ? [element("p", "", dateOf(line)), element("p", "soft", say("official"))] : [];
    cell("date", "", dated);
    return node;
  };
  const citation = (line) => {
    const link = element("a", "", line.label || line.path[line.path.length - 1] || say("read"));
    link.href = line.url;
    link.target = "_blank";
    link.rel = "noopener";
    link.lang = "zh";
    link.setAttribute("aria-label", `${line.app} ${link.textContent} ${say("read")}`);
    const path = element("p", "soft", line.label ? line.path.join(" › ") : "");
    path.lang = "zh";
    return [link, path];
  };

  // --- what of it is shown, in which order
  let sorted = { name: "", direction: "none" };
  const keys = {
    app: (line) => line.app,
    status: (line) => String(DATA.statuses.indexOf(line.status)),
    text: (line) => (line.status === "answered" ? line.text : ""),
    facts: factsOf,
    citation: placeOf,
    date: (line) => line.date || "",
  };
  const compareLines = (one, other) => {
    const key = keys[sorted.name];
    if (!key) return one.place - other.place;
    const [a, b] = [key(one), key(other)];
    if (!a !== !b) return a ? -1 : 1; // what is empty comes last, whichever way
    return order.compare(a, b) * (sorted.direction === "descending" ? -1 : 1) || one.place - other.place;
  };
  const isShown = (line) => {
    const wanted = byId("text").value.trim().toLowerCase();
    const text = [line.app, line.text, factsOf(line), placeOf(line), line.quote, dateOf(line)].join("\n").toLowerCase();
    return (!byId("status").value || line.status === byId("status").value) && text.indexOf(wanted) >= 0;
  };
  const shownLines = () => run.lines.filter(isShown).sort(compareLines);
  const draw = () => {
    clearTimeout(timer);
    timer = 0;
    const lines = shownLines();
    let next = rows.firstChild; // rows that stand right are not touched: one of them may have the focus
    lines.forEach((line) => {
      if (line.node === next) next = next.nextSibling;
      else rows.insertBefore(line.node, next);
    });
    while (next) {
      const gone = next;
      next = next.nextSibling;
      gone.remove();
    }
    byId("progress").max = run.total || 1;
    byId("progress").value = run.lines.length;
    byId("count").textContent = say("progress_count", { count: run.lines.length, total: run.total });
    byId("shown").textContent = say("shown", { count: lines.length, total: run.lines.length });
    document.querySelectorAll("[data-export]").forEach((node) => { node.disabled = !lines.length; });
    const isEmpty = !run.lines.length;
    [byId("tools"), byId("shown"), byId("result").querySelector("table")].forEach((node) => { node.hidden = isEmpty; });
    drawChart();
  };
  const stated = () => {
    const known = run.lines.filter((line) => line.policy_id);
    return { total: known.length, count: known.filter((line) => line.status === "answered").length };
  };
  const drawChart = () => {
    const count = (test) => run.lines.filter(test).length;
    const total = stated().total;
    const isYesNo = count((line) => line.stance) > 0;
    const bars = isYesNo
      ? [
          ["yes", count((line) => line.stance === "yes")],
          ["no", count((line) => line.stance === "no")],
          ["open", count((line) => line.status === "answered" && !line.stance)],
        ]
      : [["answered", stated().count]];
    bars.push(["silent", count((line) => line.status === "silent")]);
    byId("chart").hidden = !total;
    if (!total) return;
    byId("chart").firstElementChild.textContent = say("chart", stated());
    byId("chart").querySelector("ul").replaceChildren(...bars.map(([name, number]) => {
      const item = element("li", name === "silent" ? "" : "stated");
      const bar = element("span", "bar"), part = element("i");
      bar.setAttribute("aria-hidden", "true"); // the number says it
      part.style.width = `${(100 * number) / total}%`;
      bar.append(part);
      item.append(element("span", "", say(`count_${name}`)), bar);
      item.append(element("b", "", `${number} (${Math.round((100 * number) / total)} %)`));
      return item;
    }));
  };
  const sortBy = (name, direction) => {
    sorted = { name, direction };
    document.querySelectorAll("[data-sort]").forEach((head) => {
      head.parentElement.setAttribute("aria-sort", head.dataset.sort === name ? direction : "none");
    });
  };
  document.querySelectorAll("[data-sort]").forEach((head) => head.addEventListener("click", () => {
    const again = sorted.name === head.dataset.sort && sorted.direction === "ascending";
    sortBy(head.dataset.sort, again ? "descending" : "ascending");
    draw();
  }));
  byId("status").addEventListener("change", () => draw());
  byId("text").addEventListener("input", () => draw());

  // --- the table as a file
  const save = async (format) => {
    const lines = shownLines();
    const shown = lines.map((line) => ({ app: line.app, policy_id: line.policy_id }));
    const buttons = Array.from(document.querySelectorAll("[data-export]"));
    buttons.forEach((node) => { node.disabled = true; });
    byId("exported").className = "";
    show(byId("exported"), say("exporting"));
    try {
      const response = await post("compare/export", Object.assign({ format, rows: shown }, run.subject));
      if (!response.ok) throw new Error(await detailOf(response));
      const link = element("a");
      link.download = /filename="([^"]+)"/.exec(response.headers.get("content-disposition"))[1];
      link.href = URL.createObjectURL(await response.blob());
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000); // Safari reads it after the click
      show(byId("exported"), say("exported", { name: link.download }));
    } catch (error) {
      byId("exported").className = "alarm";
      show(byId("exported"), error instanceof TypeError ? say("broken") : error.message);
    }
    buttons.forEach((node) => { node.disabled = false; });
  };
  document.querySelectorAll("[data-export]").forEach((node) => node.addEventListener("click", () => save(node.dataset.export)));

  showKind();
  showChosen();
})();
