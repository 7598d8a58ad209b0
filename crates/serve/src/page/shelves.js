// The shelves of recommended films.

import { go, state, wish } from "./address.js";
import { $, $$, debounced, make, notice, say } from "./dom.js";
import { card, choice, forgetOpinions, skeletons } from "./films.js";
import { clearFilters, isFiltered } from "./filters.js";
import { Latest } from "./server.js";
import { fullNameAndYear } from "./titles.js";
import { areFilms, isChoice, item, items } from "./words.js";

const root = $("#shelves");
const latest = new Latest();
const COUNT = 14;

/** What is shown or on its way, and of whom. */
let shown = {};

/**
 * Shows the shelves of somebody, `whose`, with the ratings `by`: `question(wish, signal)` asks for
 * them, and `failed(problem)` may answer with a notice of its own. Where `take` is given, a film
 * of the only shelf is taken by it.
 */
export function showShelves({ whose, by = "", question, take, failed }) {
  const wanted = wish(state());
  const key = `${whose} ${by} ${JSON.stringify(wanted)}`;
  if (key === shown.key) return;
  const isNew = whose !== shown.whose;
  if (isNew || by !== shown.by) forgetOpinions();
  shown = { key, whose, by };
  latest.stop();
  if (isNew) wait();
  root.setAttribute("aria-busy", "true");
  const asking = { wanted, question, take, failed };
  // Who moves a slider is not to be answered at each of its steps.
  if (isNew) run(asking);
  else runSoon(key, asking);
}

const runSoon = debounced(120, (key, asking) => {
  if (key === shown.key) run(asking);
});

function run(asking) {
  const { wanted, question, take, failed } = asking;
  const again = () => {
    wait();
    run(asking);
  };
  const done = (...nodes) => {
    root.setAttribute("aria-busy", "false");
    root.replaceChildren(...nodes);
  };
  latest.run((signal) => question({ count: COUNT, ...wanted }, signal),
    (shelves) => {
      if (!shelves.some((shelf) => shelf.movies.length)) return done(nothing());
      done(...shelves.map((each) => shelf(each, shelves.length === 1, take)));
      for (const row of $$(".row", root)) row.dispatchEvent(new Event("scroll"));
      document.dispatchEvent(new Event("told"));
      const others = shelves.length - 1;
      say(others ? `${shelves[0].title}, and ${others} more below.` : `${shelves[0].title}.`);
    },
    (problem) => {
      shown = {};
      const isOfFilters = problem.status >= 400 && problem.status < 500 && isFiltered(state());
      const way = isOfFilters ? ["Clear all filters", clearFilters] : ["Try again", again];
      done(failed?.(problem) ?? notice(problem.message, problem.help, way));
    });
}

function nothing() {
  return isFiltered(state())
    ? notice(`No ${item()} fits.`,
      `Take a ${areFilms() ? "genre away, widen the years" : "filter away"}, or show all ${items()} again.`,
      ["Clear all filters", clearFilters])
    : notice("There is nothing left to recommend.",
      `Every ${item()} of the catalogue has been ${isChoice() ? "chosen" : "rated"} already.`,
      [`Choose ${items()} you know`, () => go({ tab: "visitor" })]);
}

/** Shelves of places for films that are on their way. */
function wait() {
  root.setAttribute("aria-busy", "true");
  root.replaceChildren(...[0, 1, 2].map(() => make("section", { className: "shelf" },
    make("div", { className: "head" }, make("span", { className: "skeleton" })),
    make("ul", { className: "row" }, skeletons(8)))));
}

wait();

function heading({ title, because }) {
  if (!because) return make("h3", { textContent: title });
  const link = card({ movie: because }).firstChild;
  link.className = "";
  link.replaceChildren(because.name);
  link.title = fullNameAndYear(because);
  return make("h3", {}, title.slice(0, title.lastIndexOf(because.name)), link);
}

/** A shelf: a row that scrolls, or a grid of what is `alone`. */
function shelf(content, alone, take) {
  const cards = content.movies.map((told) => (take ? choice(told, take) : card(told)));
  const list = make("ul", { className: alone ? "row grid" : "row" }, cards);
  const title = heading(content);
  const head = make("div", { className: "head" }, title, alone ? null : arrows(list));
  return make("section", { className: "shelf" }, head, list);
}

/** Buttons that scroll a row, for a mouse alone: fingers swipe, and keys go from film to film. */
function arrows(row) {
  const button = (textContent, way) => make("button",
    { type: "button", textContent, tabIndex: -1, "aria-hidden": "true",
      onclick: () => row.scrollBy({ left: way * row.clientWidth * 0.9 }) });
  const [back, on] = [button("‹", -1), button("›", 1)];
  const show = () => {
    back.disabled = row.scrollLeft < 2;
    on.disabled = row.scrollLeft + row.clientWidth > row.scrollWidth - 2;
  };
  row.addEventListener("scroll", show, { passive: true });
  return make("span", { className: "arrows" }, back, on);
}

/** Arrow keys go from film to film, and from shelf to shelf. */
root.addEventListener("keydown", (event) => {
  const here = event.target.closest(".card");
  if (!here || event.ctrlKey || event.metaKey || event.altKey) return;
  const cards = (row) => $$(".card", row);
  const row = here.closest(".row");
  const place = cards(row).indexOf(here);
  const rows = $$(".row", root);
  const beside = (way) => cards(rows[rows.indexOf(row) + way] ?? row)[place];
  const ends = { Home: cards(row)[0], End: cards(row).at(-1) };
  const next = {
    ArrowRight: cards(row)[place + 1],
    ArrowLeft: cards(row)[place - 1],
    ArrowDown: beside(1),
    ArrowUp: beside(-1),
    ...ends,
  }[event.key];
  if (!next) return;
  event.preventDefault();
  next.focus();
});
