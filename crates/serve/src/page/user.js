// What a user of the data would like.

import { go, watch } from "./address.js";
import { $, make, notice } from "./dom.js";
import { card, skeletons } from "./films.js";
import { ask, Latest } from "./server.js";
import { showShelves } from "./shelves.js";

const LATELY = 20;
const rated = $("#rated");
const latest = new Latest();
let ends = [0, 0];
let shown = null;

rated.replaceChildren(...skeletons(LATELY));

function somebody() {
  const [first, last] = ends;
  go({ user: first + Math.floor(Math.random() * (last - first + 1)) });
}

function showNobody() {
  $("#user-name").textContent = "Nobody yet";
  $(".lately").hidden = true;
  $("#shelves").replaceChildren(notice("Nobody has rated anything here.", "Choose films that you know instead.",
    ["Choose films you know", () => go({ tab: "visitor" })]));
}

function showUser(user) {
  if (user === shown) return;
  shown = user;
  $("#user-name").textContent = `User ${user}`;
  $("#user-size").textContent = "\u00a0";
  $("#user-id").value = user;
  $(".lately").hidden = false;
  rated.replaceChildren(...skeletons(LATELY));
  latest.run((signal) => ask(`api/users/${user}?count=${LATELY}`, { signal }),
    (answer) => {
      const { ratings } = answer;
      $("#user-size").textContent = `has rated ${ratings.toLocaleString("en")} ${ratings === 1 ? "film" : "films"}`;
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
  const text = `gave ${stars.toFixed(1)} stars`;
  node.firstChild.lastChild.replaceWith(make("span", { className: "about" },
    make("span", { className: "stars" },
      make("span", { textContent: `★ ${stars.toFixed(1)}`, "aria-hidden": "true" }),
      make("span", { className: "hidden", textContent: text }))));
  return node;
}

function missing(problem) {
  if (problem.status !== 404) return null;
  return notice("There is no such user.", `Users are numbered from ${ends[0]} to ${ends[1]}.`, ["Show somebody else", somebody]);
}

/** Starts with what the server says of itself. */
export function startUser({ user_ids, opens_on }) {
  ends = user_ids;
  $("#user-id").max = ends[1];
  $("#somebody").onclick = somebody;
  $("#user-form").onsubmit = (event) => {
    event.preventDefault();
    if ($("#user-id").value !== "") go({ user: Number($("#user-id").value) });
  };
  watch((now) => {
    if (now.tab !== "user") return;
    const user = now.user ?? opens_on;
    if (user === null) return showNobody();
    showUser(user);
    showShelves({
      whose: `user ${user}`,
      question: (wanted, signal) => ask(`api/users/${user}/shelves?${new URLSearchParams(wanted)}`, { signal }),
      failed: missing,
    });
  });
}
