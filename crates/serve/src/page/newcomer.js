// Who would like a film that nobody has rated.

import { address, go } from "./address.js";
import { $, make, notice, say } from "./dom.js";
import { starsText } from "./films.js";
import { checkedGenres } from "./filters.js";
import { ask, Latest } from "./server.js";
import { areFilms, hasAmounts, item, picture } from "./words.js";

const FANS = 24;
/** What the server takes, in bytes. */
const LARGEST_POSTER = 10 << 20;
const PICTURES = ["image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp"];
const form = $("#newcomer");
const drop = $("#drop");
const fans = $("#fans");
const latest = new Latest();
const invitation = drop.firstElementChild;
let poster = null;

function take(file) {
  if (!file) return;
  if (!PICTURES.includes(file.type)) return refuse("That is no JPEG, PNG, WebP, GIF or BMP.", "Choose another picture.");
  if (file.size > LARGEST_POSTER) return refuse("That picture is too large.", "It may have 10 MB.");
  poster = file;
  const image = make("img", { src: URL.createObjectURL(file), alt: `The ${picture()}: ${file.name}` });
  image.onload = () => URL.revokeObjectURL(image.src);
  drop.replaceChildren(image);
  $("#no-poster").hidden = false;
}

function refuse(title, text) {
  fans.replaceChildren(notice(title, text));
}

function drag(event) {
  event.preventDefault();
  drop.classList.toggle("over", event.type === "dragover");
  if (event.type === "drop") take(event.dataTransfer.files[0]);
}

function question() {
  const body = new FormData();
  const plot = form.plot.value.trim();
  if (plot) body.set("plot", plot);
  if (form.year.value) body.set("year", form.year.value);
  for (const genre of checkedGenres(form)) body.append("genre", genre);
  if (poster) body.set("poster", poster);
  return body;
}

function show(found) {
  const people = found.map(({ user_id, stars }) => {
    const open = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      go({ tab: "user", user: user_id });
    };
    const link = make("a", { href: address({ tab: "user", user: user_id }), onclick: open }, `User ${user_id}`,
      hasAmounts() ? starsText(stars) : "");
    return make("li", {}, link);
  });
  const title = make("h3", { textContent: "They would like it most" });
  fans.replaceChildren(title, make("ol", { className: "people" }, people));
  say(`${people.length} people found.`);
  title.scrollIntoView({ block: "nearest" });
}

function search() {
  const body = question();
  if (![...body.keys()].length) return refuse(`Nothing is known of the ${item()} yet.`,
    areFilms() ? "Give a poster, a plot, a genre or a year." : "Say something of it, or what kind it is.");
  fans.replaceChildren(make("ol", { className: "people" },
    Array.from({ length: FANS }, () => make("li", { className: "skeleton" }))));
  body.set("count", FANS);
  latest.run((signal) => ask("api/newcomers", { method: "POST", body, signal }), show,
    (problem) => {
      // The same question gets the same answer where something of it is wrong.
      const isWrong = problem.status >= 400 && problem.status < 500;
      const ways = isWrong ? [] : [["Try again", search]];
      fans.replaceChildren(notice(problem.message, problem.help, ...ways));
    });
}

export function startNewcomer() {
  $("#file").onchange = () => take($("#file").files[0]);
  drop.ondragover = drag;
  drop.ondragleave = drag;
  drop.ondrop = drag;
  $("#no-poster").onclick = () => {
    poster = null;
    $("#file").value = "";
    drop.replaceChildren(invitation);
    $("#no-poster").hidden = true;
    $("#file").focus();
  };
  form.onsubmit = (event) => {
    event.preventDefault();
    search();
  };
}
