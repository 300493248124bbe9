"use strict";
// Every page is whole without this: it sorts, filters, copies, enlarges, and switches light and dark.

const store = {
  get(name) { try { return localStorage.getItem(name); } catch { return null; } },
  set(name, value) { try { localStorage.setItem(name, value); } catch { /* pages from disk may have none */ } },
};
const root = document.documentElement;
if (store.get("theme")) root.dataset.theme = store.get("theme");

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function offerThemes() {
  const button = document.getElementById("theme");
  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const name = () => { button.textContent = isDark() ? "light" : "dark"; button.setAttribute("aria-label", `switch to ${button.textContent} colours`); };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    store.set("theme", root.dataset.theme);
    name();
  });
  button.hidden = false;
  name();
}

function sortBy(table, head) {
  const falling = head.getAttribute("aria-sort") !== "descending";
  table.querySelectorAll("th[aria-sort]").forEach((each) => each.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", falling ? "descending" : "ascending");
  const key = (row) => row.cells[Number(head.dataset.column)]?.dataset.sort ?? "";
  const compare = (one, other) => {
    const [a, b] = [key(one), key(other)];
    if (a === "" || b === "") return (a === "") - (b === "");
    const order = isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
    return falling ? -order : order;
  };
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("divider"));
    body.append(...rows.sort(compare));
  }
}

function offerSorting(table) {
  for (const head of table.querySelectorAll("thead tr:last-child th[data-column]")) {
    const button = make("button", { type: "button", className: "sort" }, ...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sortBy(table, head));
  }
}

function filterColumns(table, asked) {
  for (const head of table.querySelectorAll("thead th[data-column]")) {
    if (!head.dataset.metric && !head.dataset.generator) continue;
    const out = Object.entries(asked).some(([name, value]) => value && head.dataset[name] && head.dataset[name] !== value);
    head.hidden = out;
    for (const body of table.tBodies) for (const row of body.rows) {
      const cell = row.cells[Number(head.dataset.column)];
      if (cell && !row.classList.contains("divider")) cell.hidden = out;
    }
  }
  // A group's head spans the columns that are left of it.
  const groups = table.querySelectorAll("thead th.group");
  let start = table.querySelectorAll("thead tr:last-child th").length;
  for (const group of groups) start -= Number(group.dataset.span ??= group.colSpan);
  for (const group of groups) {
    const heads = [...table.querySelectorAll("thead tr:last-child th")].slice(start, start + Number(group.dataset.span));
    const left = heads.filter((head) => !head.hidden).length;
    group.hidden = left === 0;
    group.colSpan = Math.max(1, left);
    start += Number(group.dataset.span);
  }
}

function offerFilters(form) {
  const selects = [...form.querySelectorAll("select")];
  const marked = selects.map((select) => `main [data-${select.name}]:not(thead *)`).join(",");
  const apply = () => {
    const asked = Object.fromEntries(selects.map((select) => [select.name, select.value]));
    for (const element of document.querySelectorAll(marked)) {
      element.hidden = selects.some(({ name, value }) => value && element.dataset[name] && element.dataset[name] !== value);
    }
    document.querySelectorAll("main table").forEach((table) => filterColumns(table, asked));
    const hash = new URLSearchParams(Object.entries(asked).filter(([, value]) => value)).toString();
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
    document.querySelectorAll("a.carry").forEach((link) => { link.hash = hash; });
  };
  const given = new URLSearchParams(location.hash.slice(1));
  for (const select of selects) {
    const value = given.get(select.name);
    if (value && [...select.options].some((option) => option.value === value)) select.value = value;
  }
  form.hidden = false;
  form.addEventListener("change", apply);
  form.addEventListener("reset", () => setTimeout(apply));
  if (selects.some((select) => select.value)) apply();
}

async function copy(text, button, selected) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "copied";
  } catch {
    if (selected) getSelection().selectAllChildren(selected);
    button.textContent = selected ? "selected: press Ctrl+C" : "cannot copy";
  }
  setTimeout(() => { button.textContent = before; }, 2000);
}

function offerCopying() {
  for (const code of document.querySelectorAll("code.copy")) {
    const button = make("button", { type: "button", className: "copy", textContent: "copy" });
    button.setAttribute("aria-label", `copy ${code.textContent.slice(0, 60)}`);
    code.after(button);
    button.addEventListener("click", () => copy(code.textContent, button, code));
  }
  for (const row of document.querySelectorAll("tr[data-command]")) {
    const button = make("button", { type: "button", className: "copy small", textContent: "copy", title: `copy: ${row.dataset.command}` });
    button.setAttribute("aria-label", `copy the command of ${row.cells[0].textContent.trim()}`);
    row.cells[0].firstElementChild.after(" ", button);
    button.addEventListener("click", () => copy(row.dataset.command, button, null));
  }
}

function offerPictures() {
  const links = [...document.querySelectorAll("a.picture")];
  if (!links.length) return;
  const image = make("img", {}), words = make("p", {});
  const close = make("button", { type: "button", textContent: "close" });
  const dialog = make("dialog", { className: "viewer" }, close, image, words);
  dialog.setAttribute("aria-label", "Picture");
  document.body.append(dialog);
  let shown = 0;
  const show = (number) => {
    const there = links.filter((link) => link.offsetParent);
    shown = (number + there.length) % there.length;
    const of = there[shown].querySelector("img");
    Object.assign(image, { src: of.src, alt: of.alt });
    words.textContent = `${of.alt} (${shown + 1} of ${there.length})`;
    if (!dialog.open) dialog.showModal();
  };
  for (const link of links) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      show(links.filter((each) => each.offsetParent).indexOf(link));
    });
  }
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") show(shown + 1);
    if (event.key === "ArrowLeft") show(shown - 1);
  });
}

function openNamed() {
  const named = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (named instanceof HTMLDetailsElement) { named.open = true; named.scrollIntoView(); }
}

document.addEventListener("DOMContentLoaded", () => {
  offerThemes();
  document.querySelectorAll("table.sortable").forEach(offerSorting);
  document.querySelectorAll("form.filters").forEach(offerFilters);
  offerCopying();
  offerPictures();
  openNamed();
  addEventListener("hashchange", openNamed);
});
