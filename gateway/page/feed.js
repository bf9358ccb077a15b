// The farm as the gateway tells it: questions by fetch, and the stream of events, which is read by
// fetch as well, since an EventSource cannot send the secret in a header.

let secret = sessionStorage.getItem("secret");
let asking = null;

// Ask the user for a secret, and say what for. False: the user does not want to.
function askSecret(words) {
  const dialog = document.getElementById("secret"), field = document.getElementById("secret-value");
  document.getElementById("secret-words").textContent = words;
  field.value = "";
  asking ??= new Promise((resolve) => {
    dialog.returnValue = "";
    dialog.addEventListener("close", () => {
      asking = null;
      if (dialog.returnValue === "given") {
        secret = field.value;
        sessionStorage.setItem("secret", secret);
      }
      resolve(dialog.returnValue === "given");
    }, {once: true});
    dialog.showModal();
  });
  return asking;
}

async function request(path, options) {
  for (;;) {
    const headers = {...options?.headers, ...(secret ? {Authorization: `Bearer ${secret}`} : {})};
    const answer = await fetch(`/api/v1/${path}`, {...options, headers, cache: "no-store"});
    if (answer.status !== 401) return answer;
    if (!await askSecret(options?.method ? operatorWords : "This gateway tells the farm only to those who know its secret (the setting read-token).")) return answer;
  }
}

async function valueOf(answer) {
  const value = await answer.json();
  if (!answer.ok) throw new Error(value?.error?.text ?? `status ${answer.status}`);
  return value;
}

// The JSON of a path below /api/v1/; throws an Error with the gateway's words.
export async function get(path) {
  return valueOf(await request(path));
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// ---- An operator acts

const operatorWords = "To act, give the secret of an operator (the setting operators).";
const patience = 120000;    // For how long an act is sent again when nobody answers

// Who is logged in: {name, role}, or null.
export const user = {who: null};

export async function logIn() {
  if (!await askSecret(operatorWords)) return;
  const answer = await fetch("/api/v1/operator", {headers: {Authorization: `Bearer ${secret}`}, cache: "no-store"});
  user.who = answer.ok ? await answer.json() : null;
  changed();
  if (!answer.ok) throw new Error((await answer.json())?.error?.text ?? `status ${answer.status}`);
}

export function logOut() {
  secret = null;
  sessionStorage.removeItem("secret");
  user.who = null;
  changed();
}

// Whom the secret stands for that this window still has.
export async function findUser() {
  if (!secret) return;
  const answer = await fetch("/api/v1/operator", {headers: {Authorization: `Bearer ${secret}`}, cache: "no-store"}).catch(() => null);
  if (answer?.ok) user.who = await answer.json();
  changed();
}

// Do an act, once: an answer that is lost is asked for again under the same key. tell says
// meanwhile what is waited for. Throws an Error with the gateway's words.
export async function act(path, body, tell = () => {}) {
  const key = [...crypto.getRandomValues(new Uint8Array(16))].map((octet) => octet.toString(16).padStart(2, "0")).join("");
  const options = {method: "POST", headers: {"Content-Type": "application/json", "Idempotency-Key": key}, body: JSON.stringify(body)};
  for (const end = Date.now() + patience; ; await pause(2000)) {
    let answer;
    try {
      answer = await request(path, options);
    } catch (error) {
      if (Date.now() > end) throw error;
      tell(`the gateway does not answer (${error.message}); trying again`);
      continue;
    }
    if (![429, 503].includes(answer.status) || Date.now() > end) return valueOf(answer);
    tell(`${(await answer.json())?.error?.text}; trying again`);
  }
}

// One call of act at a time; what is asked for meanwhile is one more at its end, since the answer under
// way may be older.
export function onceMore(act) {
  let isRunning = false, isAsked = false;
  return async () => {
    isAsked = true;
    if (isRunning) return;
    isRunning = true;
    try {
      while (isAsked) {
        isAsked = false;
        await act();
      }
    } finally {
      isRunning = false;
    }
  };
}

export const farm = {
  targets: new Map(),       // Name: {name, state, phase, reason, job, ...}
  jobs: new Map(),          // Uid: {state, phase, stuck, targets: Map}
  broker: {state: "away", text: "not connected yet"},
};
// Of a phase: a value without them is not to keep those of the value before.
const ofPhase = ["done", "total", "text", "code", "error", "stuck"];
export const withoutPhase = (item) =>
  Object.fromEntries(Object.entries(item ?? {}).filter(([name]) => !ofPhase.includes(name)));
const listeners = new Set();
let isToldSoon = false;

// Call listener when something has changed, at most once a frame. Returns what ends it.
export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function changed() {
  if (isToldSoon) return;
  isToldSoon = true;
  const tell = () => {
    isToldSoon = false;
    for (const listener of [...listeners]) listener();
  };
  // A page that nobody looks at gets no frames.
  document.hidden ? setTimeout(tell, 1000) : requestAnimationFrame(tell);
}

// For a listener: act when text() is another one, or the broker has gone or come back.
export function whenOther(text, act) {
  let known = null;
  return () => {
    const now = `${farm.broker.state} ${text()}`;
    if (now === known) return;
    known = now;
    act();
  };
}

function job(uid) {
  if (!farm.jobs.has(uid)) farm.jobs.set(uid, {id: uid, targets: new Map()});
  return farm.jobs.get(uid);
}

function machine(name) {
  if (!farm.targets.has(name)) farm.targets.set(name, {name});
  return farm.targets.get(name);
}

// Of a machine that a job has, the phase stands in the job's topic. When it is free again the
// phase of before is told no more.
function apply(value) {
  const parts = value.topic.split("/");
  if (value.topic === "broker") {
    farm.broker = value;
  } else if (parts[0] === "target") {
    const target = machine(parts[1]);
    const free = value.state === "free" || value.state === "held" || value.state === "protected";
    Object.assign(target, {state: value.state ?? target.state, job: value.job ?? target.job});
    if (value.phase) target.phase = value.phase;
    if (free && !["confirmed", "failed"].includes(target.phase)) delete target.phase;
  } else if (parts[0] === "job" && parts[2] === "state") {
    farm.jobs.set(parts[1], {...withoutPhase(job(parts[1])), ...value});
  } else if (parts[0] === "job" && parts[2] === "target") {
    job(parts[1]).targets.set(parts[3], value);
    Object.assign(machine(parts[3]), {phase: value.phase, job: parts[1], text: value.text});
  } else if (parts[0] === "job" && parts[2] === "task") {
    job(parts[1]).task = {service: parts.slice(3).join("/"), ...value};
  }
}

function end({topic}) {
  const parts = topic.split("/");
  if (parts[0] === "target") farm.targets.delete(parts[1]);
  if (parts[0] === "job" && parts[2] === "state") farm.jobs.delete(parts[1]);
  if (parts[0] === "job" && parts[2] === "target") farm.jobs.get(parts[1])?.targets.delete(parts[3]);
}

// What the stream does not tell of machines: whether they are there, approved, and why not.
export const refreshTargets = onceMore(async () => {
  try {
    for (const item of (await get("targets")).items) {
      const {phase, ...rest} = item;
      Object.assign(machine(item.name), rest, phase ? {phase} : {});
    }
    changed();
  } catch {
    // The next time; the state of the broker tells that it is away.
  }
});

function take(frame) {
  let event = "message", data = "";
  for (const line of frame.split("\n")) {
    if (line.startsWith("event: ")) event = line.slice(7);
    if (line.startsWith("data: ")) data += line.slice(6);
  }
  if (!data) return;
  const value = JSON.parse(data);
  if (event === "begin") {
    farm.targets.clear();
    farm.jobs.clear();
    refreshTargets();
  }
  if (event === "value") apply(value);
  if (event === "end") end(value);
}

async function stream() {
  const abort = new AbortController();
  let watchdog;
  // The gateway says something every 15 s.
  const alive = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => abort.abort(), 45000);
  };
  alive();
  try {
    const answer = await request("events", {signal: abort.signal});
    if (!answer.ok) throw new Error((await answer.json())?.error?.text ?? `status ${answer.status}`);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const {value, done} = await reader.read();
      if (done) throw new Error("the gateway ended the stream");
      alive();
      const frames = (rest + value).split("\n\n");
      rest = frames.pop();
      frames.forEach(take);
      changed();
    }
  } finally {
    clearTimeout(watchdog);
  }
}

export async function follow() {
  for (;;) {
    try {
      await stream();
    } catch (error) {
      farm.broker = {state: "away", text: `no connection to the gateway (${error.message}); trying again`};
      changed();
    }
    await pause(2000);
  }
}
setInterval(refreshTargets, 60000);
