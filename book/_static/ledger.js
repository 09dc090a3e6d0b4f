// The ledger's table: buttons to sort by, a text filter, three choices. The table is complete without this script.
"use strict";

(() => {
  const table = document.querySelector("table.ledger");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const original = new Map(rows.map((row, place) => [row, place]));

  // Sorting: a button in each head that says how it sorts.
  const heads = Array.from(table.tHead.rows[0].cells);
  const key = (row, column, kind) => {
    const value = row.cells[column].dataset.key;
    return kind === "number" ? Number(value) : value;
  };
  const sortBy = (column, kind, direction) => {
    const sign = direction === "descending" ? -1 : 1;
    rows.sort((a, b) => {
      const [x, y] = [key(a, column, kind), key(b, column, kind)];
      // Rows that are equal keep the order of the chapters.
      return x < y ? -sign : x > y ? sign : original.get(a) - original.get(b);
    });
    body.append(...rows);
  };
  heads.forEach((head, column) => {
    const kind = head.dataset.sort;
    if (!kind) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const direction = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
      heads.forEach((other) => other.hasAttribute("aria-sort") && other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", direction);
      sortBy(column, kind, direction);
    });
  });

  // Filtering: all three together; what is shown is said aloud.
  const tools = document.createElement("form");
  tools.className = "ledger-tools";
  tools.setAttribute("role", "search");
  tools.setAttribute("aria-label", "Filter the claims");
  tools.addEventListener("submit", (event) => event.preventDefault());
  const field = (name, control) => {
    const label = document.createElement("label");
    label.append(name, control);
    tools.append(label);
    return control;
  };
  const choice = (name, values) => {
    const select = document.createElement("select");
    select.append(new Option("all", ""), ...values.map((value) => new Option(value, value)));
    return field(name, select);
  };
  const different = (name) => Array.from(new Set(rows.map((row) => row.dataset[name])));
  const search = document.createElement("input");
  search.type = "search";
  field("Text", search);
  const verdict = choice("Verdict", different("verdict").sort());
  const chapter = choice("Chapter", different("chapter"));
  const counted = choice("Counted among", different("counted"));
  const count = document.createElement("output");
  tools.append(count);

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      row.hidden = !(
        (!verdict.value || row.dataset.verdict === verdict.value) &&
        (!chapter.value || row.dataset.chapter === chapter.value) &&
        (!counted.value || row.dataset.counted === counted.value) &&
        words.every((word) => texts.get(row).includes(word))
      );
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = `${shown} of ${rows.length} claims`;
  };
  [search, verdict, chapter, counted].forEach((control) => control.addEventListener("input", filter));

  // A link may ask for any of them: ledger.html?verdict=contradicted
  const asked = new URLSearchParams(window.location.search);
  verdict.value = asked.get("verdict") ?? "";
  chapter.value = asked.get("chapter") ?? "";
  counted.value = asked.get("counted") ?? "";
  search.value = asked.get("text") ?? "";
  for (const select of [verdict, chapter, counted]) if (select.selectedIndex < 0) select.value = "";
  table.before(tools);
  filter();

  // A link to one claim opens it.
  const openTarget = () => {
    const row = document.getElementById(decodeURIComponent(window.location.hash.slice(1)));
    if (row && body.contains(row)) row.querySelectorAll("details").forEach((part) => (part.open = true));
  };
  window.addEventListener("hashchange", openTarget);
  openTarget();
})();
