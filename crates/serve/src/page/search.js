// A box that finds films by their titles: the combobox of the ARIA Authoring Practices.

import { $, $$, debounced, make, say } from "./dom.js";
import { cover } from "./films.js";
import { ask, Latest } from "./server.js";
import { item, items } from "./words.js";

const input = $("#title");
const list = $("#found");
const none = $("#not-found");
const latest = new Latest();
const MOST = 8;

let found = [];
let active = -1;

function close() {
  latest.stop();
  found = [];
  active = -1;
  list.hidden = true;
  none.hidden = true;
  input.ariaExpanded = "false";
  input.removeAttribute("aria-activedescendant");
}

function activate(place) {
  active = (place + found.length) % found.length;
  $$("[role=option]", list).forEach((option, at) => {
    option.ariaSelected = String(at === active);
    if (at === active) option.scrollIntoView({ block: "nearest" });
  });
  input.setAttribute("aria-activedescendant", `found-${active}`);
}

function tell(text) {
  none.textContent = text;
  none.hidden = false;
  say(text);
}

function offer(movies, isChosen, choose) {
  close();
  found = movies;
  if (!movies.length) return tell(`No ${item()} has these words in its title.`);
  list.replaceChildren(...movies.map((movie, place) => make("li",
    { id: `found-${place}`, role: "option", "aria-selected": "false", onclick: () => choose(movie) },
    cover(movie),
    make("span", {},
      make("strong", { textContent: movie.full_name }),
      make("small", { textContent: [movie.year, movie.genres.slice(0, 3).join(", ")].filter(Boolean).join(" · ") })),
    isChosen(movie) ? make("small", { className: "mark", textContent: "chosen" }) : null)));
  list.hidden = false;
  input.ariaExpanded = "true";
  activate(0);
  say(`${movies.length} ${items()} found. Arrow keys go through them, Enter takes one.`);
}

/** Starts the box: `taken(movie)` is told which film is chosen, `isChosen(movie)` marks those that are. */
export function startSearch(isChosen, taken) {
  const choose = (movie) => {
    input.value = "";
    close();
    taken(movie);
  };
  const look = debounced(120, () => {
    const title = input.value.trim();
    if (!title) return close();
    const question = new URLSearchParams({ title, count: MOST });
    latest.run((signal) => ask(`api/movies?${question}`, { signal }),
      (movies) => offer(movies, isChosen, choose),
      (problem) => tell(`${problem.message} ${problem.help}`));
  });
  input.oninput = look;
  input.onfocus = look;
  input.onblur = close;
  // A press on a film must not take the focus from the box.
  list.onmousedown = (event) => event.preventDefault();
  input.onkeydown = (event) => {
    const keys = {
      ArrowDown: () => activate(active + 1),
      ArrowUp: () => activate(active - 1),
      Enter: () => choose(found[active]),
    };
    if (found.length && keys[event.key]) {
      event.preventDefault();
      keys[event.key]();
    } else if (event.key === "Escape") {
      if (list.hidden) input.value = "";
      close();
    }
  };
}
