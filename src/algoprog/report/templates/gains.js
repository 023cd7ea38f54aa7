"use strict";
(() => {  // the table of gains: sort by a column, search, filter by axis, details in a line of their own
  const filter = document.getElementById("gains-filter");
  if (!filter) return;
  const tables = [...document.querySelectorAll("table.gains")], search = document.getElementById("gains-search");
  const axis = document.getElementById("gains-axis"), count = document.getElementById("gains-count");
  const rows = (table) => [...table.tBodies[0].rows].filter((row) => !row.classList.contains("details"));
  const name = (row) => row.querySelector("summary").textContent;
  const value = (row, key) => key === "name" ? name(row) : key === "axis" ? row.cells[1].textContent
    : row.querySelectorAll("[data-value]")[Number(key)].dataset.value;

  function shown() {
    const text = search.value.trim().toLowerCase();
    for (const table of tables) {
      let left = 0;
      for (const row of rows(table)) {
        const fits = name(row).toLowerCase().includes(text) && (!axis.value || row.dataset.axes.split(" ").includes(axis.value) || row.dataset.axes === axis.value);
        if (!fits) row.querySelector("details").open = false;
        row.hidden = !fits;
        left += fits;
      }
      count.textContent = `${left} of ${rows(table).length} variants`;
    }
  }

  function sort(table, head) {
    const key = head.dataset.sort, words = key === "name" || key === "axis", lossColumn = !words && Number(key) % 2 === 0;
    const first = words || lossColumn ? "ascending" : "descending", other = first === "ascending" ? "descending" : "ascending";
    const order = head.ariaSort === first ? other : first, sign = order === "ascending" ? 1 : -1;
    for (const cell of table.querySelectorAll("th[aria-sort]")) cell.removeAttribute("aria-sort");
    head.ariaSort = order;
    for (const open of table.querySelectorAll("details[open]")) open.open = false;
    const compare = (a, b) => {
      const left = value(a, key), right = value(b, key);
      if (left === "" || right === "") return (left === "") - (right === "");  // what has no number stands last
      return sign * (words ? left.localeCompare(right) : Number(left) - Number(right));
    };
    table.tBodies[0].append(...rows(table).sort(compare));
  }

  for (const table of tables) {
    for (const head of table.querySelectorAll("th[data-sort]")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, head));
      head.append(button);
    }
    for (const details of table.querySelectorAll("details")) {
      details.addEventListener("toggle", () => {
        const row = details.closest("tr"), next = row.nextElementSibling, there = next?.classList.contains("details");
        if (!details.open) {
          if (!there) return;
          details.append(next.querySelector("dl"));
          next.remove();
        } else if (!there) {
          const line = document.createElement("tr"), cell = document.createElement("td");
          line.className = "details";
          cell.colSpan = row.cells.length;
          cell.append(details.querySelector("dl"));
          line.append(cell);
          row.after(line);
        }
      });
    }
  }
  search.addEventListener("input", shown);
  axis.addEventListener("change", shown);
  filter.hidden = false;
  shown();
})();
