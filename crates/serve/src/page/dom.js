// Small helpers over the document.

export const $ = (query, root = document) => root.querySelector(query);
export const $$ = (query, root = document) => [...root.querySelectorAll(query)];

/** An element. Names with a hyphen are attributes, all others properties. */
export function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-")) node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.flat().filter((child) => child !== null));
  return node;
}

/** Waits until nothing has called for `milliseconds`, then runs the last call. */
export function debounced(milliseconds, work) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), milliseconds);
  };
}

/** Tells those who hear the page rather than see it. */
export function say(text) {
  $("#said").textContent = text;
}

/** What went wrong, or is not there, in words, with buttons `[text, action]` that help. */
export function notice(title, text, ...actions) {
  const buttons = actions.map(([textContent, onclick]) =>
    make("button", { type: "button", textContent, onclick }));
  say(`${title} ${text}`);
  return make("div", { className: "notice" },
    make("h3", { textContent: title }),
    make("p", { textContent: text }),
    make("p", { className: "line" }, buttons));
}
