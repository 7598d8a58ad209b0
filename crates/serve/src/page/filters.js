// Which films are wanted: what the filters say stands in the address.

import { go, state, watch } from "./address.js";
import { $, $$, debounced, make } from "./dom.js";

const form = $("#filters");
const opener = $("#open-filters");
const NONE = { genres: [], from: null, to: null, lessPopular: false, variety: 0 };

const count = ({ genres, from, to, lessPopular, variety }) =>
  genres.length + (from !== null || to !== null) + lessPopular + (variety > 0);

/** More genres than these scroll in a box of their own. */
const MANY = 30;

/** Whether anything is left out. */
export const isFiltered = (of) => count(of) > 0;

export function clearFilters() {
  go(NONE);
  // On a wide screen there is nothing to open.
  (opener.checkVisibility() ? opener : $("input", form)).focus();
}

/** Boxes of genres to check, in every place for them, and years, where there are any. */
export function startFilters({ genres, years }) {
  for (const place of $$("[data-genres]")) {
    const { genres: name } = place.dataset;
    // Commas stand between those that the filters name.
    const offered = name === "genres" ? genres.filter((genre) => !genre.includes(",")) : genres;
    place.replaceChildren(...offered.map((genre) => make("label", { className: "chip" },
      make("input", { type: "checkbox", name, value: genre }),
      make("span", { textContent: genre }))));
    place.classList.toggle("many", offered.length > MANY);
    place.parentElement.hidden = !offered.length;
  }
  for (const place of $$("[data-years]")) place.hidden = years === null;
  form.classList.remove("waiting");
  show(state());
}

export const checkedGenres = (place) => $$("input:checked", place).map((input) => input.value);

function varietyWords(variety) {
  if (variety === 0) return "off";
  return variety < 0.35 ? "a little" : variety < 0.7 ? "some" : "much";
}

function show(now) {
  for (const input of $$("[name=genres]", form)) input.checked = now.genres.includes(input.value);
  for (const name of ["from", "to"]) {
    // What is being typed may be half a year.
    if (form[name] !== document.activeElement) form[name].value = now[name] ?? "";
  }
  form.less_popular.checked = now.lessPopular;
  form.variety.value = now.variety;
  const words = varietyWords(now.variety);
  $("#variety-words").textContent = words;
  form.variety.setAttribute("aria-valuetext", words);
  const filters = count(now);
  opener.textContent = filters ? `Filters (${filters})` : "Filters";
  $("#clear").hidden = !filters;
}

const year = (text) => (/^[12]\d{3}$/.test(text) ? Number(text) : null);
const isYear = (text) => text === "" || year(text) !== null;

const takeYears = debounced(250, (name) => {
  if (isYear(form[name].value)) go({ [name]: year(form[name].value) }, name);
});

form.addEventListener("input", ({ target }) => {
  if (target.name === "genres") go({ genres: checkedGenres(form) });
  if (target.name === "less_popular") go({ lessPopular: target.checked });
  if (target.name === "variety") go({ variety: Number(target.value) }, "variety");
  if (target.name === "from" || target.name === "to") takeYears(target.name);
});
form.addEventListener("focusout", () => show(state()));
form.addEventListener("submit", (event) => event.preventDefault());
$("#clear").onclick = clearFilters;
opener.onclick = () => {
  opener.ariaExpanded = String(opener.ariaExpanded !== "true");
};

watch(show);
