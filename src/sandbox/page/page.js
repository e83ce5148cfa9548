"use strict";

const WORDS = {
  applied: "The other side was changed.",
  unchanged: "The other side said so already. This is where every echo ends.",
  "skipped: event_type_ignored": "Has nothing to do with subscriptions.",
  "skipped: no_route": "No route takes this subscription anywhere.",
  "skipped: never_subscribed": "The account never had the subscription, so there is nothing to tell.",
  "skipped: double_opt_in_pending": "The double opt-in is not confirmed yet, and until then it is none.",
  "skipped: newer_opt_out": "The other side holds an opt-out that is not older than this opt-in. The opt-out stands.",
  "skipped: newer_opt_in": "The other side holds an opt-in that is newer than this opt-out. The opt-in stands.",
  "skipped: opt_ins_not_accepted": "This route takes opt-ins from Gigya only.",
  "skipped: bounces_not_forwarded": "A mail came back. On this route that is no opt-out.",
  "skipped: unknown_subscriber": "The other side doesn’t know this person.",
  "skipped: address_not_current": "About an address that the person no longer has.",
  "skipped: held_by_esp": "The mail system has the address on its suppression list, and keeps it out.",
  "rejected: address_unknown": "The account is gone and nothing tells which address it had. Recorded for a person.",
  "rejected: no_address": "The account has no usable address. Recorded for a person to look at.",
  "rejected: malformed": "The event lacks what it must have. Recorded for a person to look at.",
  "rejected: refused_by_other_side": "The other side refuses this, and always will. Recorded for a person.",
  "deferred: unavailable": "The other side can’t be reached or is failing. The sender must try again.",
  "deferred: rate_limited": "The other side asks to slow down. The sender must try again.",
  "deferred: journal_unavailable": "The gateway's journal can't be read or written, and must have it. The sender must try again.",
  "deferred: journaled": "It is written in the gateway's journal and will be finished; the sender need not come again.",
  "deferred: deadline_reached": "There was no time left. The sender must try again.",
  "deferred: configuration": "The other side refuses the gateway’s credentials. A person must act; the sender tries on.",
  "deferred: unsettled": "Both sides kept changing meanwhile. The sender must try again.",
  "deferred: internal": "The gateway failed. This is a bug.",
};
const STATUS = {
  0: ["no answer", "Nobody answered in time. The sender tries again."],
  200: ["200 OK", ""],
  503: ["503 not now", "Not everything arrived, so the sender keeps it and tries again. What did arrive stays."],
};
const WEATHER = {
  fine: "Fine", slow: "Slow", failing: "5 % failing", stormy: "33 % failing", down: "Down",
};
const STEPS = { "in step": ["go", "✓ in step"], "on the way": ["wait", "… on the way"], "out of step": ["stop", "≠ out of step"] };
const byId = (id) => document.getElementById(id);
const clock = (at) => at.toLocaleTimeString();
// Every ESP that has a section here; every system.
const ESPS = [...document.querySelectorAll("[data-esp]")].map(({ dataset }) => ({ slug: dataset.esp, name: dataset.name }));
const SYSTEMS = [{ slug: "gigya", name: "Gigya" }, ...ESPS];

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

// Acting

const say = (problem) => { byId("problem").textContent = problem; };

async function act(action) {
  const answer = await fetch("act", {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(action),
  }).catch(() => null);
  if (answer && answer.ok) { say(""); return true; }
  const told = answer ? await answer.json().catch(() => ({})) : {};
  say(told.error || "The sandbox doesn’t answer. Is it still running?");
  return false;
}

function ask(question, then) {
  const [dialog, field] = [byId("ask"), byId("ask-name")];
  byId("ask-title").textContent = question;
  field.value = "";
  dialog.returnValue = "";
  dialog.onclose = () => { if (dialog.returnValue === "yes" && field.value) then(field.value); };
  dialog.showModal();
}

function button(label, name, action) {
  const made = element("button", { type: "button", "data-do": action.do, "aria-label": `${label}: ${name}` }, label);
  made.addEventListener("click", () => {
    if (action.question) ask(action.question, (answer) => act({ do: action.do, uid: action.uid, name: answer }));
    else act(action);
  });
  return made;
}

// How all sides stand

const chip = (step) => element("span", { class: `chip ${STEPS[step][0]}` }, STEPS[step][1]);
const since = (at) => (at ? ` since ${clock(new Date(at))}` : "");

function gigyaStands(account) {
  const flag = account.opted_in === null ? ["quiet", "never asked"]
    : account.opted_in ? ["go", "opted in"] : ["stop", "opted out"];
  return account.active ? flag : ["stop", `deactivated (was ${flag[1]})`];
}

function gigyaCard(person) {
  const parts = [element("div", { class: "who" }, element("b", {}, person.email), chip(person.step))];
  for (const account of person.accounts) {
    const { uid } = account;
    const [kind, text] = gigyaStands(account);
    parts.push(
      element("p", { class: "stands" }, element("span", { class: `mark ${kind}` }, text), element("span", { class: "quiet" },
        `${since(account.since)}${account.lite ? ", lite account" : ""}`)),
      element("div", { class: "acts" },
        account.opted_in ? button("Opt out", person.email, { do: "unsubscribe", uid })
          : button("Opt in", person.email, { do: "subscribe", uid }),
        account.active ? button("Deactivate", person.email, { do: "deactivate", uid })
          : button("Activate", person.email, { do: "activate", uid }),
        button("Address…", person.email, { do: "rename", uid, question: `New address for ${person.email}: its name before @example.org` }),
        button("Name…", person.email, { do: "first_name", uid, question: `First name of ${person.email}` }),
        button("Delete", person.email, { do: "delete", uid })));
  }
  for (const { slug } of ESPS) {
    const there = person.esps[slug];
    if (there.why && !there.subscribers.length) parts.push(element("p", { class: "why" }, there.why));
  }
  return parts;
}

function espCard(esp, person) {
  const { email } = person;
  const { subscribers, step, why } = person.esps[esp];
  const parts = [element("div", { class: "who" }, element("b", {}, email), chip(step))];
  for (const subscriber of subscribers) {
    // Not every state has a time.
    const told = [since(subscriber.since), subscriber.first_name ? ` first name ${subscriber.first_name}` : ""];
    parts.push(element("p", { class: "stands" },
      element("span", { class: `mark ${subscriber.mailed ? "go" : "stop"}` }, subscriber.state),
      element("span", { class: "quiet" }, told.filter(Boolean).join(","))));
  }
  if (why) parts.push(element("p", { class: "why" }, why));
  if (subscribers.some((subscriber) => subscriber.mailed)) {
    parts.push(element("div", { class: "acts" },
      button("Unsubscribe link", email, { do: "unsubscribe_link", esp, email }),
      button("Mail bounces", email, { do: "bounce", esp, email }),
      button("Delete", email, { do: "delete_at_esp", esp, email })));
  }
  return parts;
}

// Only cards that changed are made anew, so that no click and no focus is lost.
function showCards(list, people, make, nobody) {
  const held = new Map([...list.children].map((card) => [card.dataset.email || "", card]));
  const cards = people.map((person) => {
    const text = JSON.stringify(person);
    const before = held.get(person.email);
    if (before && before.shown === text) return before;
    const card = element("li", { "data-email": person.email, "data-step": person.step }, ...make(person));
    card.shown = text;
    if (before) keepFocus(before, card);
    return card;
  });
  if (!cards.length) cards.push(held.get("") || element("li", { class: "nobody" }, nobody));
  cards.forEach((card, index) => {
    if (list.children[index] !== card) list.insertBefore(card, list.children[index] || null);
  });
  while (list.children.length > cards.length) list.lastElementChild.remove();
  if (refocus && refocus.isConnected) refocus.focus();
  refocus = null;
}

let refocus = null;
function keepFocus(before, card) {
  if (!before.contains(document.activeElement)) return;
  const index = [...before.querySelectorAll("button")].indexOf(document.activeElement);
  refocus = card.querySelectorAll("button")[index] || card.querySelector("button");
}

let shown = null;
function showState(state) {
  if (shown) tellChanges(shown, state);
  shown = state;
  showCards(byId("people-gigya"), state.people.filter((person) => person.accounts.length), gigyaCard, "Nobody has an account.");
  for (const { slug } of ESPS) {
    const held = state.people.filter((person) => person.esps[slug].subscribers.length);
    showCards(byId(`people-${slug}`), held, (person) => espCard(slug, person), "Nobody is subscribed.");
  }
  for (const { slug } of SYSTEMS) {
    for (const choice of byId(`weather-${slug}`).querySelectorAll("button")) {
      choice.setAttribute("aria-pressed", String(choice.value === state.weather[slug]));
    }
  }
  const out = state.people.filter((person) => person.step === "out of step").length;
  const waiting = SYSTEMS.reduce((sum, { slug }) => sum + state.pending[slug], 0);
  const [kind, text] = waiting ? ["wait", `… ${waiting} event${waiting === 1 ? "" : "s"} on the way`]
    : out ? ["stop", `≠ ${out} ${out === 1 ? "person" : "people"} out of step; their cards say why`]
      : ["go", "✓ All sides are in step"];
  byId("standing").className = kind;
  byId("standing").textContent = text;
}

// What travels

function tell(item) {
  const list = byId("travel");
  byId("try").hidden = true;
  item.prepend(element("time", {}, clock(new Date())));
  list.prepend(item);
  while (list.children.length > 80) list.lastElementChild.remove();
}

// A person's state on each side in words, to be told when it changes.
function standsOf(state) {
  const stands = new Map();
  for (const person of state.people) {
    for (const account of person.accounts) {
      stands.set(`gigya ${account.uid}`, ["Gigya:", person.email, gigyaStands(account)]);
    }
    for (const { slug, name } of ESPS) {
      person.esps[slug].subscribers.forEach((subscriber, index) => {
        const named = subscriber.first_name ? `, first name ${subscriber.first_name}` : "";
        stands.set(`${slug} ${person.email} ${index}`,
          [`${name}:`, person.email, [subscriber.mailed ? "go" : "stop", subscriber.state + named]]);
      });
    }
  }
  return stands;
}

function tellChanges(before, now) {
  const [was, is] = [standsOf(before), standsOf(now)];
  const line = (side, email, kind, text) => tell(element("li", { class: "change" },
    `${side} ${email} `, element("span", { class: `mark ${kind}` }, text)));
  for (const [key, [side, email]] of was) if (!is.has(key)) line(side, email, "stop", "is gone");
  for (const [key, [side, email, [kind, text]]] of is) {
    const old = was.get(key);
    if (!old || old[2][1] !== text || old[1] !== email) line(side, email, kind, text);
  }
  for (const { slug, name } of SYSTEMS) {
    if (before.weather[slug] !== now.weather[slug]) {
      const kind = now.weather[slug] === "fine" ? "go" : "wait";
      line(`${name}’s API`, "is now", kind, (WEATHER[now.weather[slug]] || "odd").toLowerCase());
    }
  }
}

function counted(texts) {
  const counts = new Map();
  for (const text of texts) counts.set(text, (counts.get(text) || 0) + 1);
  return [...counts].map(([text, count]) => [text, count > 1 ? `${count} × ${text}` : text]);
}

function showAttempt(attempt) {
  const kind = attempt.status === 200 ? "go" : attempt.status === 503 || attempt.status === 0 ? "wait" : "stop";
  const [status, meaning] = STATUS[attempt.status] || [String(attempt.status), ""];
  const item = element("li", { class: `webhook ${kind}`, "data-status": attempt.status },
    element("p", {}, element("span", { class: "mark" }, `${attempt.sender} → gateway`),
      attempt.number > 1 ? `, attempt\u00a0${attempt.number}` : ""),
    element("p", {}, counted(attempt.types).map(([, text]) => text).join(", ")),
    element("p", {}, "← ", element("span", { class: `mark ${kind}` }, status), ` after ${attempt.milliseconds} ms `,
      element("span", { class: "meaning" }, meaning)));
  const outcomes = (attempt.events || []).map((event) => event.outcome + (event.reason ? `: ${event.reason}` : ""));
  for (const [outcome, text] of counted(outcomes)) {
    item.append(element("p", {}, element("code", {}, text), " ", element("span", { class: "meaning" }, WORDS[outcome] || "")));
  }
  tell(item);
}

// Setting up

for (const [word, meaning] of Object.entries(WORDS)) {
  byId("words").append(element("dt", {}, word), element("dd", {}, meaning));
}
for (const { slug } of SYSTEMS) {
  for (const [kind, label] of Object.entries(WEATHER)) {
    const bad = kind === "fine" ? "" : "bad";
    const choice = element("button", { type: "button", value: kind, class: bad, "aria-pressed": "false" }, label);
    choice.addEventListener("click", () => act({ do: "weather", system: slug, kind }));
    byId(`weather-${slug}`).append(choice);
  }
}
for (const form of document.querySelectorAll("form[data-system]")) {
  form.addEventListener("submit", async (submitted) => {
    submitted.preventDefault();
    const field = form.elements.namedItem("name");
    const chosen = submitted.submitter || form.querySelector("button");
    const { system } = form.dataset;
    const where = system === "gigya" ? {} : { esp: system };
    if (await act({ do: chosen.value, name: field.value, ...where })) field.value = "";
    field.focus();
  });
}
// Who is looked at on one side is marked on the others.
for (const event of ["mouseover", "focusin"]) {
  document.addEventListener(event, ({ target }) => {
    const card = target.closest && target.closest(".people > li[data-email]");
    for (const other of document.querySelectorAll(".people > li")) {
      other.classList.toggle("near", Boolean(card) && other.dataset.email === card.dataset.email);
    }
  });
}

function listen() {
  const live = new EventSource("live");
  live.addEventListener("state", (event) => showState(JSON.parse(event.data)));
  live.addEventListener("attempt", (event) => showAttempt(JSON.parse(event.data)));
  live.addEventListener("open", () => say(""));
  live.addEventListener("error", () => {
    say("The sandbox doesn’t answer. Is it still running? Trying again.");
    if (live.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  });
}
listen();
