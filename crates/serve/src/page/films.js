// Covers and cards of films.

import { address } from "./address.js";
import { make } from "./dom.js";
import { fullNameAndYear, sentence } from "./titles.js";

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
  const looks = GENRES.filter((genre) => movie.genres.includes(genre)).map((genre) => LOOKS[genre]);
  const [[hue, drawing] = OTHER, [otherHue] = [hue]] = looks;
  const title = movie.name;
  const longest = Math.max(...title.split(/[\s-]/).map((word) => word.length));
  const size = title.length > 34 || longest > 12 ? "small" : title.length > 16 || longest > 9 ? "middle" : "large";
  const node = make("span", { className: `cover drawn ${drawing} ${size}` },
    make("span", { className: "year", textContent: movie.year ?? "" }),
    make("span", { className: "name", textContent: title }));
  node.style.setProperty("--hue", hue);
  node.style.setProperty("--other", otherHue);
  // So that two films of one genre are not drawn the same.
  node.style.setProperty("--x", `${15 + ((movie.id * 37) % 71)}%`);
  node.style.setProperty("--y", `${12 + ((movie.id * 53) % 31)}%`);
  return node;
}

/** "★ 4.5", read as "4.5 stars". */
export function starsText(stars) {
  return make("span", { className: "stars" },
    make("span", { textContent: "★", "aria-hidden": "true" }), ` ${stars.toFixed(1)}`,
    make("span", { className: "hidden", textContent: " stars" }));
}

function about({ movie, stars = null, reasons = [] }) {
  const facts = [
    stars === null ? null : starsText(stars),
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

/** Stars to be set, by half stars; `set` is told. */
export function starsInput(movie, stars, set) {
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
