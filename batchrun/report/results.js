"use strict";
const form = document.getElementById("finding");
if (form) {
  const rows = [...document.querySelectorAll("#documents > li")];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const [find, status, shown] = ["find", "status", "shown"].map((id) => document.getElementById(id));
  const filter = () => {
    const words = find.value.trim().toLowerCase();
    rows.forEach((row, at) => {
      row.hidden = !texts[at].includes(words) || !["", row.dataset.status].includes(status.value);
    });
    shown.textContent = `${rows.filter((row) => !row.hidden).length} shown`;
  };
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();
}
