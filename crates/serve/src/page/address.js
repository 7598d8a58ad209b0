// What is seen stands in the address: it can be reloaded, shared, and gone back to.

const TABS = ["user", "visitor", "newcomer"];
const whole = (text) => (/^\d{1,10}$/.test(text ?? "") ? Number(text) : null);

/** Stars of a rating, to the half star. */
export const halves = (stars) => Math.min(5, Math.max(0.5, Math.round(stars * 2) / 2));

function chosen(text) {
  const films = new Map();
  for (const part of text.split(",").filter(Boolean).slice(0, 100)) {
    const [id, stars] = part.split(":");
    if (whole(id) !== null) films.set(whole(id), halves(Number(stars) || 5));
  }
  return films;
}

function read(search) {
  const fields = new URLSearchParams(search);
  const tab = fields.get("tab");
  const variety = Number(fields.get("variety"));
  return {
    tab: TABS.includes(tab) ? tab : "user",
    /** Null for whom the server opens on. */
    user: whole(fields.get("user")),
    /** Stars by movie, as they were chosen. */
    films: chosen(fields.get("films") ?? ""),
    genres: (fields.get("genres") ?? "").split(",").filter(Boolean),
    from: whole(fields.get("from")),
    to: whole(fields.get("to")),
    lessPopular: fields.get("less_popular") === "true",
    variety: variety >= 0 && variety <= 1 ? variety : 0,
    /** The film whose details are open. */
    film: whole(fields.get("film")),
  };
}

/** The address of the current state with some changes. */
export function address(change = {}) {
  const { tab, user, films, genres, from, to, lessPopular, variety, film } = { ...current, ...change };
  const fields = {
    tab: tab === "user" ? null : tab,
    user,
    films: [...films].map(([id, stars]) => `${id}:${stars}`).join(","),
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

/**
 * Changes the state, and the address with it. Changes that follow each other with the same
 * `merge`, such as the steps of a slider, are one step of the history.
 */
export function go(change, merge = null) {
  const next = address(change);
  if (next === address()) return;
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
