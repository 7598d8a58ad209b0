// What the data call their things: films and stars, or what is in the tables of a shop.

import { $$ } from "./dom.js";

/** What the server has said of it; until then what MovieLens has. */
let told = {
  item: "movie",
  items: "movies",
  rating: "rating",
  ratings: "ratings",
  unit: "stars",
  scale: [0.5, 5],
  are_probabilities: false,
};

export const areFilms = () => told.item === "movie";
export const item = () => (areFilms() ? "film" : told.item);
export const items = () => (areFilms() ? "films" : told.items);
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const anItem = () => `${/^[aeiou]/.test(item()) ? "an" : "a"} ${item()}`;

/** "1 purchase", "12 purchases". */
export const ratings = (count) =>
  `${count.toLocaleString("en")} ${count === 1 ? told.rating : told.ratings}`;
/** One of them. */
export const rating = () => told.rating;

/** Whether items are rated by half stars, as films of MovieLens are. */
export const areStars = () =>
  told.unit === "stars" && told.scale?.[0] === 0.5 && told.scale[1] === 5;
/** Whether an item is chosen or not, and never rated. */
export const isChoice = () => told.are_probabilities;
/** Whether the data tell how much, or how likely: all that is chosen is alike otherwise. */
export const hasAmounts = () => told.scale !== null;
/** The lowest and the highest rating. */
export const scale = () => told.scale ?? [0, 1];
export const most = () => scale()[1];

/** The rating that there is nearest to a number. */
export function onScale(number) {
  if (isChoice()) return most();
  const [lowest, highest] = scale();
  return Math.min(highest, Math.max(lowest, areStars() ? Math.round(number * 2) / 2 : number));
}

/** A rating, or how likely an item is chosen, with so many digits as are of use: "4.5", "73 %". */
export function amount(number) {
  if (isChoice()) return `${Math.round(100 * number)} %`;
  const [lowest, highest] = scale();
  return number.toFixed(highest - lowest > 40 ? 0 : 1);
}

export const title = () => (areFilms() ? "What to watch" : "What to choose");

/** Texts of the page by where they stand. */
const texts = () => ({
  "h1": title(),
  ".skip": `Skip to the ${items()}`,
  "#tab-visitor, [data-for=visitor] h2": `${capital(items())} you know`,
  "#tab-newcomer": `A new ${item()}`,
  ".lately h3": isChoice() ? `Latest ${told.ratings}` : "Rated last",
  "[data-for=visitor] .who p": `Name a few${isChoice() ? "" : " and say how you liked them"}: what follows changes at once.`,
  "label[for=title]": `${capital(anItem())} you know`,
  "[data-for=newcomer] h2": `Who would like a new ${item()}?`,
  "[data-for=newcomer] .who p": `One that nobody has ${isChoice() ? "chosen" : "rated"} yet. Whatever you know of it helps; nothing is kept.`,
  "#drop > span": `Drop a ${picture()} here, or choose one`,
  "#no-poster": `Take the ${picture()} away`,
  "label[for=plot]": areFilms() ? "Plot" : "Description",
  "fieldset:has([data-genres]) legend": areFilms() ? "Genres" : "Kinds",
  "[name=less_popular] + span small": `leaves out what everybody ${areFilms() ? "has seen" : "knows"}`,
});

/** Names of lists for those who hear the page, and what stands in a box that is empty. */
const attributes = () => [
  ["#found", "aria-label", `${capital(items())} of that title`],
  ["#chosen", "aria-label", `${capital(items())} you have chosen`],
  ["#shelves", "aria-label", `Recommended ${items()}`],
  ["#plot", "placeholder", areFilms() ? "A robot left alone on Earth falls in love …" : ""],
];

export const picture = () => (areFilms() ? "poster" : "picture");

/** Has the page speak as the server says. */
export function speak(words) {
  told = words;
  for (const [where, text] of Object.entries(texts())) {
    // What else stands there stays.
    for (const node of $$(where)) node.firstChild.data = text;
  }
  for (const [where, name, text] of attributes()) {
    for (const node of $$(where)) node.setAttribute(name, text);
  }
}
