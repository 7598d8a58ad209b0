// What is seen stands in the address: it can be reloaded, shared, and gone back to.

import { isChoice, most, onScale } from "./words.js";

const TABS = ["user", "visitor", "newcomer"];
const whole = (text) => (/^\d{1,10}$/.test(text ?? "") ? Number(text) : null);

/** An id as the server writes it, which is a number or a text; null where it is none. */
export let idOf = whole;

/** An id among others, in which no sign separates them. */
function decoded(text) {
  try {
    return idOf(decodeURIComponent(text));
  } catch {
    return null;
  }
}

function chosen(text) {
  const films = new Map();
  for (const part of text.split(",").filter(Boolean).slice(0, 100)) {
    const [name, stars] = part.split(":");
    const id = decoded(name);
    const given = stars ? Number(stars) : NaN;
    if (id !== null) films.set(id, onScale(Number.isFinite(given) ? given : most()));
  }
  return films;
}

/** A film and its stars, of which what is only chosen has none. */
const written = ([id, stars]) => `${encodeURIComponent(id)}${isChoice() ? "" : `:${stars}`}`;

function read(search) {
  const fields = new URLSearchParams(search);
  const tab = fields.get("tab");
  const variety = Number(fields.get("variety"));
  return {
    tab: TABS.includes(tab) ? tab : "user",
    /** Null for whom the server opens on. */
    user: idOf(fields.get("user")),
    /** Stars by movie, as they were chosen. */
    films: chosen(fields.get("films") ?? ""),
    genres: (fields.get("genres") ?? "").split(",").filter(Boolean),
    from: whole(fields.get("from")),
    to: whole(fields.get("to")),
    lessPopular: fields.get("less_popular") === "true",
    variety: variety >= 0 && variety <= 1 ? variety : 0,
    /** The film whose details are open. */
    film: idOf(fields.get("film")),
  };
}

/** The address of the current state with some changes. */
export function address(change = {}) {
  const { tab, user, films, genres, from, to, lessPopular, variety, film } = { ...current, ...change };
  const fields = {
    tab: tab === "user" ? null : tab,
    user,
    films: [...films].map(written).join(","),
    genres: genres.join(","),
    from,
    to,
    less_popular: lessPopular || null,
    variety: variety || null,
    film,
  };
  const given = Object.entries(fields).filter(([, value]) => value !== null && value !== "");
  const search = given.map(([name, value]) =>
    `${name}=${encodeURIComponent(value).replaceAll("%2C", ",").replaceAll("%3A", ":")}`);
  return search.length ? `?${search.join("&")}` : location.pathname;
}

let current = read(location.search);
/** Whether the server has said how the address is to be read. */
let isKnown = false;
let merging = null;
const listeners = [];

/** What is to be seen. */
export const state = () => current;

/** Calls `listener` with the state, now and after each change. */
export function watch(listener) {
  listeners.push(listener);
  listener(current);
}

function tell() {
  for (const listener of listeners) listener(current);
}

/** Reads the address anew, by what the server says of itself. */
export function startAddress({ user_ids }) {
  if (user_ids === null) idOf = (text) => text || null;
  isKnown = true;
  current = read(location.search);
  tell();
}

/**
 * Changes the state, and the address with it. Changes that follow each other with the same
 * `merge`, such as the steps of a slider, are one step of the history. Nothing changes before it
 * is known how the address is to be read.
 */
export function go(change, merge = null) {
  const next = address(change);
  if (!isKnown || next === address()) return;
  const opened = "film" in change && change.film !== null;
  // How many steps back no film was open; 0 where that is not known.
  const before = current.film === null ? 0 : history.state?.depth || NaN;
  const depth = (opened && before + 1) || 0;
  const replace = merge !== null && merge === merging;
  history[replace ? "replaceState" : "pushState"]({ depth }, "", next);
  merging = merge;
  current = { ...current, ...change };
  tell();
}

/** Closes the details: a step back to where they were opened, if nothing changed since. */
export function closeFilm() {
  const depth = history.state?.depth;
  if (depth) history.go(-depth);
  else go({ film: null });
}

addEventListener("popstate", () => {
  merging = null;
  current = read(location.search);
  tell();
});

/** What the filters ask of the server. */
export function wish({ genres, from, to, lessPopular, variety }) {
  return {
    ...(genres.length && { genres: genres.join(",") }),
    ...(from !== null && { from }),
    ...(to !== null && { to }),
    ...(lessPopular && { less_popular: true }),
    ...(variety && { variety }),
  };
}
