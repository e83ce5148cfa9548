"use strict";

const MEANINGS = {
  applied: "the other side was changed",
  unchanged: "the other side said so already",
  newer_opt_out: "the other side holds an opt-out that is not older, so this opt-in doesn't count",
  newer_opt_in: "the other side holds a newer opt-in, so this opt-out doesn't count",
  never_subscribed: "the account never had the subscription",
  opt_ins_not_accepted: "this route takes opt-ins from Gigya only",
  bounces_not_forwarded: "a bounce is no opt-out on this route",
  event_type_ignored: "has nothing to do with subscriptions",
  unknown_subscriber: "the other side doesn't know this person",
  address_not_current: "about an address that the person no longer has",
  address_unknown: "the account is gone and nothing tells which address it had: set aside for a person",
  double_opt_in_pending: "the double opt-in is not confirmed yet",
  unavailable: "the other side can't be reached: the sender must try again",
  rate_limited: "the other side asks to slow down: the sender must try again",
  deadline_reached: "there was no time left: the sender must try again",
};
const WEATHER = { fine: "Fine", slow: "Slow", failing: "Fails at times", down: "Down" };
const byId = (id) => document.getElementById(id);

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

async function act(action) {
  const answer = await fetch("act", {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(action),
  }).catch(() => null);
  if (answer && answer.ok) return say("");
  const told = answer ? await answer.json().catch(() => ({})) : {};
  say(told.error || "The sandbox doesn't answer. Is it still running?");
}

const say = (problem) => { byId("problem").textContent = problem; };

function button(label, action, name) {
  const made = element("button", { type: "button", "aria-label": `${label}: ${name}` }, label);
  made.addEventListener("click", () => {
    const full = typeof action === "function" ? action() : action;
    if (full) act(full);
  });
  return made;
}

function gigyaCell(person) {
  const cell = element("td", { "data-title": "Gigya" });
  const account = person.account;
  if (!account) return cell.append(element("span", { class: "quiet" }, "no account")), cell;
  const uid = account.uid;
  const state = !account.active ? ["deactivated", "stop"] : account.opted_in === null ? ["no subscription", "quiet"]
    : account.opted_in ? ["opted in", "go"] : ["opted out", "stop"];
  cell.append(element("span", { class: `mark ${state[1]}` }, state[0]), account.lite ? " (lite)" : "");
  const ask = (question, action) => () => {
    const name = window.prompt(question);
    return name ? { do: action, uid, name } : null;
  };
  cell.append(element("div", { class: "acts" },
    account.opted_in ? button("Opt out", { do: "unsubscribe", uid }, person.email)
      : button("Opt in", { do: "subscribe", uid }, person.email),
    account.active ? button("Deactivate", { do: "deactivate", uid }, person.email)
      : button("Activate", { do: "activate", uid }, person.email),
    button("First name", ask("First name", "first_name"), person.email),
    button("New address", ask("Name for the new address", "rename"), person.email),
    button("Delete", { do: "delete", uid }, person.email)));
  return cell;
}

function espCell(person) {
  const cell = element("td", { "data-title": "Campaign Monitor" });
  const subscriber = person.subscriber;
  if (!subscriber) return cell.append(element("span", { class: "quiet" }, "not on the list")), cell;
  const email = person.email;
  cell.append(element("span", { class: `mark ${subscriber.state === "Active" ? "go" : "stop"}` }, subscriber.state));
  if (subscriber.first_name) cell.append(` as ${subscriber.first_name}`);
  if (subscriber.state === "Active") {
    cell.append(element("div", { class: "acts" },
      button("Unsubscribe link", { do: "unsubscribe_link", email }, email),
      button("Bounce", { do: "bounce", email }, email),
      button("Delete", { do: "delete_at_esp", email }, email)));
  }
  return cell;
}

function showPeople(people) {
  const steps = { "in step": "go", "on the way": "wait", "differs": "wait" };
  const focused = document.activeElement && document.activeElement.getAttribute("aria-label");
  const rows = people.map((person) => element("tr", { "data-email": person.email },
    element("td", {}, person.email), gigyaCell(person), espCell(person),
    element("td", { "data-title": "Both", class: `mark ${steps[person.step]}` }, person.step)));
  byId("people").replaceChildren(...(rows.length ? rows
    : [element("tr", {}, element("td", { colspan: "4", class: "quiet" }, "Nobody yet. Sign somebody up."))]));
  // The table was made anew: somebody who works by keyboard stays where they were.
  const again = focused && [...document.querySelectorAll("#people button")]
    .find((candidate) => candidate.getAttribute("aria-label") === focused);
  if (again) again.focus();
}

function showWeather(weather) {
  for (const side of ["gigya", "esp"]) {
    for (const choice of byId(`weather-${side}`).querySelectorAll("button")) {
      choice.setAttribute("aria-pressed", String(choice.value === weather[side]));
    }
  }
}

function showState(state) {
  showPeople(state.people);
  showWeather(state.weather);
  const waiting = state.pending.gigya + state.pending.esp;
  byId("pending").textContent = waiting ? `${waiting} events on their way` : "Nothing on its way";
}

function showAttempt(attempt) {
  const kind = attempt.status === 200 ? "go" : "wait";
  const item = element("li", {},
    element("span", { class: "mark" }, attempt.sender), ` sent ${attempt.types.join(", ")}`,
    attempt.number > 1 ? ` (attempt ${attempt.number})` : "", " and heard ",
    element("span", { class: `mark ${kind}` }, attempt.status === 0 ? "nothing" : String(attempt.status)),
    ` after ${attempt.milliseconds} ms`);
  const seen = new Set();
  for (const event of attempt.events || []) {
    const outcome = event.reason ? `${event.outcome}: ${event.reason}` : event.outcome;
    if (seen.has(outcome)) continue;
    seen.add(outcome);
    const meaning = MEANINGS[event.reason || event.outcome];
    item.append(element("span", { class: "outcome" }, meaning ? `${outcome} (${meaning})` : outcome));
  }
  const list = byId("travel");
  if (list.querySelector(".quiet")) list.replaceChildren();
  list.prepend(item);
  while (list.children.length > 60) list.lastElementChild.remove();
}

for (const side of ["gigya", "esp"]) {
  for (const [kind, label] of Object.entries(WEATHER)) {
    const choice = element("button", { type: "button", value: kind, "aria-pressed": "false" }, label);
    choice.addEventListener("click", () => act({ do: "weather", side, kind }));
    byId(`weather-${side}`).append(choice);
  }
}

byId("sign-up").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  const field = byId("name");
  act({ do: submitted.submitter ? submitted.submitter.value : "sign_up", name: field.value });
  field.value = "";
  field.focus();
});

const live = new EventSource("live");
live.addEventListener("state", (event) => showState(JSON.parse(event.data)));
live.addEventListener("attempt", (event) => showAttempt(JSON.parse(event.data)));
live.addEventListener("error", () => say("The sandbox doesn't answer. Is it still running?"));
live.addEventListener("open", () => say(""));
