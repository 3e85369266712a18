// The demo page: shows the line to copy, and changes the attributes of the widget that stands on the page.
"use strict";
(() => {
  const script = document.getElementById("widget");
  const form = document.getElementById("settings");
  const snippet = () => {
    const attributes = Array.from(script.attributes)
      .filter((attribute) => attribute.name.startsWith("data-"))
      .map((attribute) => ` ${attribute.name}="${attribute.value.replace(/&/g, "&amp;").replace(/"/g, "&quot;")}"`);
    return `<script src="${script.src}"${attributes.join("")} defer></script>`;
  };
  const show = () => { document.getElementById("snippet").textContent = snippet(); };
  form.addEventListener("input", (event) => {
    const { name, value } = event.target;
    if (value) script.dataset[name] = value;
    else delete script.dataset[name];
    show();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("copy").addEventListener("click", () => navigator.clipboard.writeText(snippet()));
  for (const name of ["ready", "open", "close", "question", "answer", "citation-click", "error"]) {
    window.Wentiao.instances[0].on(name, (detail) => {
      const item = document.getElementById("events").appendChild(document.createElement("li"));
      item.textContent = `${name} ${JSON.stringify(detail)}`;
    });
  }
  show();
})();
