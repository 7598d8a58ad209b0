// What somebody who names a few films would like.

import { go, state, watch } from "./address.js";
import { $, make, say } from "./dom.js";
import { cover, ratingInput, recall, remember, starsText } from "./films.js";
import { startSearch } from "./search.js";
import { ask, post, Problem } from "./server.js";
import { showShelves } from "./shelves.js";
import { fullNameAndYear } from "./titles.js";
import { areStars, isChoice, item, most } from "./words.js";

const chosen = $("#chosen");
/** Films whose names are asked for. */
const asked = new Set();

/** Gives a film some stars: it is one that the visitor knows. */
export function rate(movie, stars, merge = `stars ${movie.id}`) {
  remember({ movie });
  go({ films: new Map(state().films).set(movie.id, stars) }, merge);
}

/** Takes a film away again. */
export function drop(movie) {
  const films = new Map(state().films);
  films.delete(movie.id);
  go({ films });
  say(`${movie.full_name} is taken away.`);
}

function forget(movie) {
  drop(movie);
  $("#title").focus();
}

function take(movie) {
  if (!state().films.has(movie.id)) rate(movie, most(), null);
  const rated = areStars() ? "5 stars" : starsText(most()).textContent;
  say(`${movie.full_name} is chosen${isChoice() ? "" : `, with ${rated}`}.`);
}

/** What an address names may not have been seen yet. */
async function name(id) {
  if (asked.has(id)) return;
  asked.add(id);
  try {
    remember({ movie: await ask(`api/movies/${encodeURIComponent(id)}`) });
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 404) return;
    const films = new Map(state().films);
    films.delete(id);
    go({ films });
    $("#not-found").textContent = `The address names a ${item()} ${id}, which there is not.`;
    $("#not-found").hidden = false;
  }
  showChosen(state());
}

function row(id, stars) {
  const movie = recall(id)?.movie;
  if (!movie) {
    name(id);
    return make("li", { className: "skeleton", "data-id": id });
  }
  const remove = make("button", { type: "button", className: "remove",
    onclick: () => forget(movie), "aria-label": `Take ${fullNameAndYear(movie)} away` },
    make("span", { textContent: "×", "aria-hidden": "true" }));
  return make("li", { "data-id": id },
    cover(movie),
    make("span", { className: "named" },
      make("strong", { textContent: movie.full_name }),
      movie.year ? make("small", { textContent: movie.year }) : null),
    isChoice() ? null : ratingInput(movie, stars, (value) => rate(movie, value)),
    remove);
}

/** Rows that are there stay: one of them may have the focus. */
function showChosen({ films }) {
  const there = new Map([...chosen.children].map((node) => [node.dataset.id, node]));
  const rows = [...films].map(([id, stars]) => {
    const node = there.get(String(id));
    if (!node || node.className === "skeleton") return row(id, stars);
    const input = $("input", node);
    if (input && Number(input.value) !== stars) return row(id, stars);
    return node;
  });
  const same = rows.length === chosen.children.length && rows.every((node, at) => node === chosen.children[at]);
  if (!same) chosen.replaceChildren(...rows);
}

export function startVisitor() {
  startSearch((movie) => state().films.has(movie.id), take);
  watch((now) => {
    if (now.tab !== "visitor") return;
    showChosen(now);
    const ratings = [...now.films].map(([movie, stars]) => ({ movie, stars }));
    showShelves({
      whose: ratings.length ? "visitor" : "newcomer",
      by: JSON.stringify(ratings),
      question: (wanted, signal) => post("api/visitors/shelves", { ratings, wish: wanted }, signal),
      take: ratings.length ? null : (movie) => {
        take(movie);
        $("#chosen :is(input, .remove)").focus();
      },
    });
  });
}
