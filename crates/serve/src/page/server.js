// Questions to the server.

/** What went wrong, in words for people. `status` is 0 where no answer came at all. */
export class Problem extends Error {
  constructor(status, title, help) {
    super(title);
    this.status = status;
    this.help = help;
  }
}

const AWAY = () => new Problem(0, "The server does not answer.",
  "It may have been stopped, or your connection is gone. Start it again with “mmdlrm serve”, then try again.");

function problem(status, error) {
  if (status === 503) {
    return new Problem(status, "The server has much to do just now.", "Try again in a moment.");
  }
  if (status >= 500) {
    return new Problem(status, "Something went wrong in the server.", "Try again; if it stays, its log says more.");
  }
  const words = error ?? `it answered with status ${status}`;
  return new Problem(status, "The server could not answer that.", `${words[0].toUpperCase()}${words.slice(1)}.`);
}

/** The answer to a question, or a [`Problem`]; what is called off throws an AbortError. */
export async function ask(path, options = {}) {
  let response;
  let answer;
  try {
    response = await fetch(path, options);
    answer = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw response && !response.ok ? problem(response.status) : AWAY();
  }
  if (!response.ok) throw problem(response.status, answer.error);
  return answer;
}

/** Sends JSON and takes the answer. */
export function post(path, body, signal) {
  const headers = { "content-type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(body), signal });
}

/** Runs the newest question alone: an older one is called off, and its answer never shown. */
export class Latest {
  #controller = new AbortController();

  stop() {
    this.#controller.abort();
    this.#controller = new AbortController();
  }

  /** Asks by `question(signal)`; `then` or `failed` are called unless a newer one came. */
  async run(question, then, failed) {
    this.stop();
    const { signal } = this.#controller;
    try {
      const answer = await question(signal);
      if (!signal.aborted) then(answer);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      failed(error);
    }
  }
}
