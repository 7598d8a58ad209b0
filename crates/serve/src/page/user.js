// What a user of the data would like.

import { go, watch } from "./address.js";
import { $, make, notice } from "./dom.js";
import { card, skeletons } from "./films.js";
import { ask, Latest } from "./server.js";
import { showShelves } from "./shelves.js";
import { amount, areFilms, areStars, hasAmounts, isChoice, item, items, most, ratings as counted } from "./words.js";

const LATELY = 20;
const rated = $("#rated");
const latest = new Latest();
/** The lowest and the highest number of a user; null where users have names. */
let ends = [0, 0];
/** Some of those who have names. */
let examples = [];
let shown = null;

rated.replaceChildren(...skeletons(LATELY));

const anyBelow = (count) => Math.floor(Math.random() * count);

function somebody() {
  if (ends === null) return go({ user: examples[anyBelow(examples.length)] });
  const [first, last] = ends;
  go({ user: first + anyBelow(last - first + 1) });
}

function showNobody() {
  $("#user-name").textContent = "Nobody yet";
  $(".lately").hidden = true;
  $("#shelves").replaceChildren(notice("Nobody has rated anything here.", `Choose ${items()} that you know instead.`,
    [`Choose ${items()} you know`, () => go({ tab: "visitor" })]));
}

function showUser(user) {
  if (user === shown) return;
  shown = user;
  $("#user-name").textContent = `User ${user}`;
  $("#user-size").textContent = "\u00a0";
  $("#user-id").value = user;
  $(".lately").hidden = false;
  rated.replaceChildren(...skeletons(LATELY));
  latest.run((signal) => ask(`api/users/${encodeURIComponent(user)}?count=${LATELY}`, { signal }),
    (answer) => {
      const { ratings } = answer;
      $("#user-size").textContent = areFilms() && !isChoice()
        ? `has rated ${ratings.toLocaleString("en")} ${ratings === 1 ? item() : items()}`
        : counted(ratings);
      $(".lately").hidden = !ratings;
      rated.replaceChildren(...answer.rated.map(({ movie, stars }) => ratedCard(movie, stars)));
      rated.scrollLeft = 0;
    },
    () => {
      shown = null;
      $(".lately").hidden = true;
    });
}

/** A film with the stars that it was given, which are not those that it would get. */
function ratedCard(movie, stars) {
  const node = card({ movie, given: stars });
  const [seen, said] = given(stars);
  node.firstChild.lastChild.replaceWith(make("span", { className: "about" },
    make("span", { className: "stars" },
      make("span", { textContent: seen, "aria-hidden": "true" }),
      make("span", { className: "hidden", textContent: said }))));
  return node;
}

/** What was given, for those who see it and for those who hear it. */
function given(stars) {
  if (!hasAmounts()) return ["", "chosen"];
  if (isChoice()) return stars < 0.5 ? ["✗", "not chosen"] : ["✓", "chosen"];
  const text = amount(stars);
  return areStars() ? [`★ ${text}`, `gave ${text} stars`] : [text, `gave ${text} of ${most()}`];
}

function missing(problem) {
  if (problem.status !== 404) return null;
  const help = ends === null
    ? "Users are called as in the data, letter by letter."
    : `Users are numbered from ${ends[0]} to ${ends[1]}.`;
  return notice("There is no such user.", help, ["Show somebody else", somebody]);
}

/** Has users asked for by their names. */
function askForNames() {
  const input = $("#user-id");
  $("#user-form label").textContent = "User id";
  for (const name of ["min", "inputmode"]) input.removeAttribute(name);
  Object.assign(input, { type: "text", autocomplete: "off", spellcheck: false });
}

/** Starts with what the server says of itself. */
export function startUser(info) {
  const { user_ids, opens_on } = info;
  ends = user_ids;
  examples = info.examples;
  if (ends === null) askForNames();
  else $("#user-id").max = ends[1];
  $("#somebody").onclick = somebody;
  $("#user-form").onsubmit = (event) => {
    event.preventDefault();
    const { value } = $("#user-id");
    if (value !== "") go({ user: ends === null ? value : Number(value) });
  };
  watch((now) => {
    if (now.tab !== "user") return;
    const user = now.user ?? opens_on;
    if (user === null) return showNobody();
    showUser(user);
    showShelves({
      whose: `user ${user}`,
      question: (wanted, signal) => ask(`api/users/${encodeURIComponent(user)}/shelves?${new URLSearchParams(wanted)}`, { signal }),
      failed: missing,
    });
  });
}
