// Fetches the page again every few seconds, while somebody looks at it, and puts what it says in place of what it said.
"use strict";

const EVERY = 5000;
const say = (text) => { document.getElementById("refreshing").textContent = text; };

async function refresh() {
  try {
    const answer = await fetch("", { cache: "no-store", signal: AbortSignal.timeout(EVERY) });
    if (!answer.ok) throw new Error(`answered ${answer.status}`);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
    if (!fresh) throw new Error("answered something else");
    document.querySelector("main").replaceWith(document.adoptNode(fresh));
    say("It refreshes itself.");
  } catch (error) {
    say(`It can't be refreshed (${error.message}); this is what was last known.`);
  }
}

async function keepRefreshing() {
  if (!document.hidden && !getSelection()?.toString()) await refresh();
  setTimeout(keepRefreshing, EVERY);
}

say("It refreshes itself.");
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
setTimeout(keepRefreshing, EVERY);
