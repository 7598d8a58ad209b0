// What there is to know of a film, in a dialog.

import { closeFilm, go, idOf, state, watch } from "./address.js";
import { $, make, notice } from "./dom.js";
import { card, cover, ratingInput, recall, remember, skeletons, starsText } from "./films.js";
import { ask, Latest } from "./server.js";
import { sentence } from "./titles.js";
import { drop, rate } from "./visitor.js";
import { areFilms, capital, hasAmounts, isChoice, item, items } from "./words.js";

const SIMILAR = 14;
const dialog = $("#details");
const body = $("#details-body");
const movieAsked = new Latest();
const starsAsked = new Latest();
const similarAsked = new Latest();
/** The user that the server opens on. */
let opensOn = null;
/** Which film is open, and where the focus goes afterwards. */
let shown = null;
let opener = null;

function line(title, text) {
  return make("p", {}, make("span", { className: "quiet", textContent: title }), text);
}

/** Stars given, expected, or to be given. */
function stars({ movie, stars: expected = null, given = null }, now) {
  if (now.tab === "visitor") return ofVisitor(movie, now.films.get(movie.id) ?? null, expected);
  const user = `User ${now.user ?? opensOn}`;
  if (given !== null) return [gave(user, given)];
  return expected === null ? [] : [wouldGive(user, expected)];
}

function ofVisitor(movie, set, expected) {
  const input = ratingInput(movie, set, (value) => (value === null ? drop(movie) : rate(movie, value)));
  const question = areFilms() ? "Seen it?" : "Know it?";
  const about = make("span", { className: "quiet", textContent: set === null ? question : "You gave" });
  return [
    make("div", { className: "line" }, isChoice() ? null : about, input),
    expected === null || set !== null ? null : wouldGive("You", expected),
  ];
}

function gave(who, stars) {
  if (!isChoice()) return line(`${who} gave it `, starsText(stars));
  return line(stars < 0.5 ? `${who} did not choose it` : `${who} chose it`, "");
}

function wouldGive(who, stars) {
  return line(isChoice() ? `${who} would choose it: ` : `${who} would give it about `, starsText(stars));
}

function why({ reasons = [] }) {
  return reasons.map(({ words }) => make("li", { textContent: sentence(words) }));
}

function head(told, now) {
  const { movie } = told;
  return [
    make("h2", { id: "details-title", tabIndex: -1, textContent: movie.full_name }),
    make("p", { className: "quiet", textContent: [movie.year, movie.genres.join(", ")].filter(Boolean).join(" · ") }),
    make("div", { className: "stars-of" }, ...stars(told, now)),
    make("ul", { className: "reasons" }, ...why(told)),
  ];
}

/** What the shelves say of the film when they come after it. */
function showOpinions() {
  const told = recall(shown);
  if (!told) return;
  $(".reasons", body)?.replaceChildren(...why(told));
  // Stars that are being set stay.
  if (state().tab === "user") $(".stars-of", body)?.replaceChildren(...stars(told, state()));
}

function show(told, now) {
  const similar = make("ul", { className: "row" }, skeletons(6));
  body.replaceChildren(
    make("div", { className: "film" }, cover(told.movie), make("div", { className: "facts-of" }, ...head(told, now))),
    make("section", { className: "shelf" }, make("h3", { textContent: `${capital(items())} like it` }), similar));
  dialog.scrollTop = 0;
  const { id } = told.movie;
  similarAsked.run((signal) => ask(`api/movies/${encodeURIComponent(id)}/similar?count=${SIMILAR}`, { signal }),
    (found) => {
      similar.replaceChildren(...found.map(({ movie }) => card({ movie })));
      if (!found.length) similar.replaceWith(make("p", { className: "quiet", textContent: "None is known." }));
    },
    (problem) => similar.replaceWith(make("p", { className: "quiet", textContent: `${problem.message} ${problem.help}` })));
}

/** What a user would give is asked for where no shelf has said it. */
function askStars({ movie, stars: expected, given }, now) {
  const user = now.user ?? opensOn;
  const isSaid = !hasAmounts() || expected !== undefined || given !== undefined;
  if (now.tab === "visitor" || user === null || isSaid) return;
  const path = `api/users/${encodeURIComponent(user)}/stars/${encodeURIComponent(movie.id)}`;
  starsAsked.run((signal) => ask(path, { signal }),
    (answer) => {
      remember({ movie, ...answer });
      showOpinions();
    },
    // A model that predicts no stars says nothing of them.
    () => {});
}

function open(id, now) {
  shown = id;
  const isFirst = !dialog.open;
  if (isFirst) {
    opener = document.activeElement;
    dialog.showModal();
  }
  const told = recall(id);
  if (told) {
    show(told, now);
    askStars(told, now);
    if (!isFirst) $("h2", body).focus();
    return;
  }
  body.replaceChildren(make("h2", { id: "details-title", textContent: "…" }));
  movieAsked.run((signal) => ask(`api/movies/${encodeURIComponent(id)}`, { signal }),
    (movie) => {
      remember({ movie });
      show(recall(id), now);
      askStars(recall(id), now);
    },
    (problem) => body.replaceChildren(
      make("h2", { id: "details-title", textContent: `No such ${item()}` }),
      notice(problem.message, problem.help, ["Close", () => dialog.close()])));
}

/** Back to the card that it was opened from, or the one that has taken its place. */
function leave() {
  const isThere = opener?.isConnected && opener !== document.body;
  const back = isThere ? opener : $(`#panel [data-film="${CSS.escape(shown)}"]`) ?? $("#panel");
  shown = null;
  opener = null;
  back.focus();
}

/** Starts with what the server says of itself. */
export function startDetails({ opens_on }) {
  opensOn = opens_on;
  $("#close").onclick = () => dialog.close();
  dialog.onclick = (event) => {
    if (event.target === dialog) dialog.close();
  };
  dialog.onclose = () => {
    leave();
    if (state().film !== null) closeFilm();
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-film]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    go({ film: idOf(link.dataset.film) });
  });
  document.addEventListener("told", showOpinions);
  watch((now) => {
    if (now.film === null) dialog.close();
    else if (now.film !== shown) open(now.film, now);
  });
}
