// The page of the recommendation server: what a user, or whoever names a few films, would like.
// Each view follows the state in the address (address.js) and asks the server (server.js).

import { go, startAddress, watch } from "./address.js";
import { startDetails } from "./details.js";
import { $, $$, notice } from "./dom.js";
import { startFilters } from "./filters.js";
import { startNewcomer } from "./newcomer.js";
import { ask, Problem } from "./server.js";
import { startUser } from "./user.js";
import { startVisitor } from "./visitor.js";
import { items, speak, title } from "./words.js";

const tabs = $$("[role=tab]");
const panel = $("#panel");

function showTab({ tab }) {
  for (const button of tabs) {
    const selected = button.dataset.tab === tab;
    button.ariaSelected = String(selected);
    button.tabIndex = selected ? 0 : -1;
    if (selected) document.title = `${button.textContent} · ${title()}`;
  }
  panel.setAttribute("aria-labelledby", `tab-${tab}`);
  for (const part of $$("[data-for]")) part.hidden = !part.dataset.for.split(" ").includes(tab);
}

function startTabs() {
  for (const [place, button] of tabs.entries()) {
    button.onclick = () => go({ tab: button.dataset.tab, film: null });
    button.onkeydown = (event) => {
      const next = {
        ArrowRight: place + 1,
        ArrowLeft: place - 1,
        Home: 0,
        End: -1,
      }[event.key];
      if (next === undefined) return;
      event.preventDefault();
      const tab = tabs.at(next % tabs.length);
      tab.focus();
      tab.click();
    };
  }
  watch(showTab);
}

async function start() {
  try {
    const info = await ask("api/info");
    speak(info.words);
    $("#size").textContent = `${info.movies.toLocaleString("en")} ${items()}, `
      + `${info.users.toLocaleString("en")} users, model “${info.model}”.`;
    startFilters(info);
    startAddress(info);
    startVisitor();
    startNewcomer();
    startUser(info);
    startDetails(info);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    $("#shelves").replaceChildren(notice(error.message, error.help, ["Try again", start]));
  }
}

startTabs();
start();
