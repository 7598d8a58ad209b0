// Covers and cards of films.

import { address } from "./address.js";
import { make } from "./dom.js";
import { fullNameAndYear, sentence } from "./titles.js";
import { amount, areFilms, areStars, hasAmounts, isChoice, most, rating, scale } from "./words.js";

/** Hue and drawing of a cover without a poster, by genre: what says most of a film comes first. */
const LOOKS = {
  "Film-Noir": [275, "blinds"],
  "Western": [45, "sun"],
  "Musical": [320, "bubbles"],
  "War": [115, "horizon"],
  "Documentary": [180, "grid"],
  "Horror": [18, "rays"],
  "Animation": [345, "bubbles"],
  "Sci-Fi": [205, "rings"],
  "Children": [80, "bubbles"],
  "Fantasy": [300, "dots"],
  "Romance": [5, "moon"],
  "Crime": [262, "blinds"],
  "Mystery": [285, "beam"],
  "Adventure": [140, "horizon"],
  "Action": [30, "rays"],
  "Thriller": [160, "blinds"],
  "Comedy": [55, "sun"],
  "Drama": [245, "moon"],
  "IMAX": [215, "grid"],
};
const GENRES = Object.keys(LOOKS);
const OTHER = [230, "moon"];
const DRAWINGS = [...new Set(Object.values(LOOKS).map(([, drawing]) => drawing))];

/** A number that goes with a text: FNV-1a, by letters. */
const hash = (text) =>
  [...text].reduce((sum, letter) => Math.imul(sum ^ letter.codePointAt(0), 16777619) >>> 0, 2166136261);
const number = (id) => (typeof id === "number" ? id : hash(id));

/** Hues and drawings of what a film is, or anything else. */
function looksOf({ id, genres }) {
  if (areFilms()) return GENRES.filter((genre) => genres.includes(genre)).map((genre) => LOOKS[genre]);
  const kinds = genres.length ? genres : [String(id)];
  return kinds.map((kind) => [hash(kind) % 360, DRAWINGS[hash(kind) % DRAWINGS.length]]);
}

/** Films that the server has told of, with the stars and reasons that it gave last. */
const known = new Map();

/** Remembers what an answer says of a film: `{movie}`, with `stars`, `reasons` and `given` where it has them. */
export function remember(told) {
  known.set(told.movie.id, { ...known.get(told.movie.id), ...told });
}

/** Forgets what was said of the films to somebody else. */
export function forgetOpinions() {
  for (const [id, { movie }] of known) known.set(id, { movie });
}

/** What is known of a film, if anything. */
export const recall = (id) => known.get(id);

/** The poster of a film, or a cover of its title in the colours of its genres. */
export function cover(movie) {
  const drawn = () => drawnCover(movie);
  if (!movie.poster) return drawn();
  const image = make("img", { className: "cover", src: movie.poster, alt: "", loading: "lazy", draggable: false });
  image.onerror = () => image.replaceWith(drawn());
  return image;
}

function drawnCover(movie) {
  const [[hue, drawing] = OTHER, [otherHue] = [hue]] = looksOf(movie);
  const title = movie.name;
  const longest = Math.max(...title.split(/[\s-]/).map((word) => word.length));
  const size = title.length > 34 || longest > 12 ? "small" : title.length > 16 || longest > 9 ? "middle" : "large";
  const node = make("span", { className: `cover drawn ${drawing} ${size}` },
    make("span", { className: "year", textContent: movie.year ?? "" }),
    make("span", { className: "name", textContent: title }));
  node.style.setProperty("--hue", hue);
  node.style.setProperty("--other", otherHue);
  // So that two films of one genre are not drawn the same.
  node.style.setProperty("--x", `${15 + ((number(movie.id) * 37) % 71)}%`);
  node.style.setProperty("--y", `${12 + ((number(movie.id) * 53) % 31)}%`);
  return node;
}

/** "★ 4.5", read as "4.5 stars"; "83 of 100", "73 %". */
export function starsText(stars) {
  if (!areStars()) {
    const text = isChoice() ? amount(stars) : `${amount(stars)} of ${most()}`;
    return make("span", { className: "stars", textContent: text });
  }
  return make("span", { className: "stars" },
    make("span", { textContent: "★", "aria-hidden": "true" }), ` ${stars.toFixed(1)}`,
    make("span", { className: "hidden", textContent: " stars" }));
}

function about({ movie, stars = null, reasons = [] }) {
  const facts = [
    stars === null || !hasAmounts() ? null : starsText(stars),
    movie.poster && movie.year ? String(movie.year) : movie.genres.slice(0, 2).join(", ") || null,
  ].filter((fact) => fact !== null);
  return make("span", { className: "about" },
    movie.poster ? make("strong", { textContent: movie.name }) : null,
    make("span", { className: "facts" }, facts.flatMap((fact, place) => (place ? [" · ", fact] : [fact]))),
    reasons.length ? make("span", { className: "why", textContent: sentence(reasons[0].words) }) : null);
}

/** A film in a list, which opens its details. */
export function card(told) {
  remember(told);
  const { movie } = told;
  return make("li", {},
    make("a", { className: "card", href: address({ film: movie.id }), "data-film": movie.id, title: fullNameAndYear(movie) },
      cover(movie), about(told)));
}

/** A film in a list, which is taken by `take`. */
export function choice(told, take) {
  remember(told);
  const { movie } = told;
  return make("li", {},
    make("button", { type: "button", className: "card", onclick: () => take(movie), title: `I know ${fullNameAndYear(movie)}` },
      make("span", { className: "hidden", textContent: "Add " }),
      cover(movie), about({ movie }), make("span", { className: "plus", textContent: "+", "aria-hidden": "true" })));
}

/** Places of cards that are on their way. */
export function skeletons(count) {
  return Array.from({ length: count }, () =>
    make("li", { className: "skeleton", "aria-hidden": "true" },
      make("span", { className: "cover" }), make("span", { className: "about" })));
}

/** What somebody says of a film; `set` is told, with null of what is chosen no longer. */
export function ratingInput(movie, stars, set) {
  if (isChoice()) return choiceInput(stars !== null, set);
  return areStars() ? starsInput(movie, stars ?? 0, set) : numberInput(movie, stars, set);
}

/** A button that chooses, or takes away again. */
function choiceInput(isChosen, set) {
  const button = make("button", { type: "button" });
  const show = () => {
    button.textContent = isChosen ? "Take it away" : "Choose it";
  };
  button.onclick = () => {
    isChosen = !isChosen;
    show();
    set(isChosen ? most() : null);
  };
  show();
  return button;
}

/** A number on the scale of the data. */
function numberInput(movie, stars, set) {
  const [min, max] = scale();
  const input = make("input", { type: "number", min, max, step: "any",
    "aria-label": `Your ${rating()} for ${fullNameAndYear(movie)}, from ${min} to ${max}` });
  let taken = stars ?? "";
  input.oninput = () => {
    if (input.value === "" || !input.checkValidity()) return;
    taken = Number(input.value);
    set(taken);
  };
  // What is no number of the scale goes with the focus.
  input.onblur = () => {
    input.value = taken;
  };
  input.value = taken;
  return make("span", { className: "number-input" }, input,
    make("span", { className: "quiet", textContent: `${min} – ${max}`, "aria-hidden": "true" }));
}

/** Stars to be set, by half stars; `set` is told. */
function starsInput(movie, stars, set) {
  const input = make("input", { type: "range", min: 0, max: 5, step: 0.5,
    "aria-label": `Your stars for ${fullNameAndYear(movie)}` });
  const node = make("span", { className: "star-input" }, make("span", { className: "five" }), input);
  const show = (value) => {
    input.value = value;
    input.setAttribute("aria-valuetext", value ? `${value} stars` : "not rated");
    node.style.setProperty("--stars", value);
  };
  const take = (value) => {
    show(value);
    set(value);
  };
  input.oninput = () => take(Math.max(0.5, Number(input.value)));
  // Right of where the slider ends is the tip of the last star.
  node.onclick = ({ target }) => {
    if (target !== input) take(5);
  };
  show(stars);
  return node;
}
