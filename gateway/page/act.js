// What an operator does: log in, make an image, plan, choose, start, cancel, hold. Who is not logged in
// is asked for a secret by the first act.
import {act, farm, get, logIn, logOut, onChange, user, whenOther} from "./feed.js";
import {age, bytes, element, table} from "./words.js";

const listed = 200;         // Machines of a plan that are in the document at once
const open = ["done", "partial", "failed", "cancelled"];

// A button, or a form, that does something: one thing at a time, and what comes of it is said.
function makeDoer(node, event, what) {
  const said = element("p", {role: "status", class: "said"});
  const tell = (text) => { said.textContent = text; };
  node.addEventListener(event, async (happened) => {
    happened.preventDefault();
    if (node.getAttribute("aria-busy") === "true") return;
    node.setAttribute("aria-busy", "true");
    tell("asking ...");
    try {
      tell(await what(tell) ?? "");
    } catch (error) {
      tell(`Not done: ${error.message}`);
    } finally {
      node.removeAttribute("aria-busy");
    }
  });
  return said;
}

function makeButton(text, what, attributes = {}) {
  const node = element("button", {type: "button", ...attributes}, text);
  return {node, said: makeDoer(node, "click", what)};
}

export function userView(node) {
  const name = element("span"), button = element("button", {type: "button"});
  const said = makeDoer(button, "click", async () => { await (user.who ? logOut() : logIn()); });
  node.replaceChildren(name, " ", button, said);
  const show = () => {
    const text = user.who ? `${user.who.name} (${user.who.role})` : "";
    if (name.textContent !== text) name.textContent = text;
    const word = user.who ? "Log out" : "Log in";
    if (button.textContent !== word) button.textContent = word;
  };
  show();
  onChange(show);
}

// ---- Images

export function imagesView(main) {
  const images = element("div"), source = element("select", {id: "source", required: ""}), name = element("input", {id: "image-name", autocomplete: "off"});
  const form = element("form", {}, element("label", {for: "source"}, "Source "), source, " ",
    element("label", {for: "image-name"}, "Name (may be empty) "), name, " ", element("button", {}, "Make an image"));
  const said = makeDoer(form, "submit", async (tell) => {
    const made = await act("image/create", {source: source.value, ...(name.value ? {name: name.value} : {})}, tell);
    location.hash = `#/jobs/${made.name}`;
  });
  main.replaceChildren(element("h2", {}, "Images"), images, element("h2", {}, "Make an image"), form, said);
  const ask = whenOther(() => [...farm.jobs.values()].map((job) => job.state).join(), async () => {
    try {
      const [all, sources] = await Promise.all([get("images"), get("sources")]);
      images.replaceChildren(all.items.length
        ? table("Images", ["Image", "State", "Source", "Size", "Made", "Description", "Deploy"], all.items.map((image) => [
          image.name, image.state ?? "", image.source ?? "", image.bytes ? bytes(image.bytes) : "", age(image.created), image.description ?? "",
          element("a", {href: `#/deploy/${encodeURIComponent(image.name)}`, "aria-label": `Deploy ${image.name}`}, "Deploy")]))
        : element("p", {class: "faint"}, "There are no images."));
      const chosen = source.value;
      source.replaceChildren(...sources.items.map((item) => element("option", {value: item.name}, item.name)));
      if (chosen) source.value = chosen;
    } catch (error) {
      images.replaceChildren(element("p", {class: "stale"}, error.message));
    }
  });
  ask();
  return onChange(ask);
}

// ---- A deployment, in steps: engines, plan, machines, what is erased, its number

// Names as the gateway takes them: three or more in a row become a range.
export function foldNames(names) {
  const parts = [];
  const flush = (run) => {
    if (run.length < 3) parts.push(...run.map((one) => one.name));
    else parts.push(`${run[0].head}[${run[0].digits}-${run.at(-1).digits}]`);
  };
  let run = [];
  for (const name of names) {
    const found = /^(.*?)([0-9]{1,9})$/.exec(name);
    const one = found ? {name, head: found[1], digits: found[2]} : {name};
    const last = run.at(-1);
    const follows = last?.digits && one.digits && last.head === one.head && last.digits.length === one.digits.length && Number(one.digits) === Number(last.digits) + 1;
    if (!follows) {
      flush(run);
      run = [];
    }
    run.push(one);
  }
  flush(run);
  return parts.join(",");
}

const disks = (verdict) => (verdict.choice ?? []).map((disk) => `${disk.name ?? disk.disk} ${disk.bytes ? bytes(disk.bytes) : ""}`).join(", ");

// A job until it has ended; the one that is shown.
async function ended(name, tell, isOver) {
  for (;;) {
    const job = await get(`jobs/${name}`).catch((error) => { tell(`${error.message}; trying again`); return null; });
    if (isOver()) throw new Error("the page shows something else");
    if (job && open.includes(job.state)) return job;
    if (job) tell(`the engines compare their machines with the image: job ${name}${job.stuck ? `, ${job.stuck}` : ""}`);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

// The verdicts with a box for each machine that can be chosen. changed() is called when the choice is another one.
function makeChoice(verdicts, changed) {
  const canBe = (one) => one.fits && one.available !== false;
  verdicts = [...verdicts.filter(canBe), ...verdicts.filter((one) => !canBe(one))];
  const fits = verdicts.filter(canBe);
  const chosen = new Set(), search = element("input", {type: "search", id: "plan-search", autocomplete: "off"}), rows = element("div");
  const count = element("p", {role: "status", class: "said"});
  const all = element("button", {type: "button"}, `Choose all ${fits.length} that fit`), none = element("button", {type: "button"}, "Choose none");
  const isShown = (one) => [one.target, one.engine, one.reason].join(" ").toLowerCase().includes(search.value.trim().toLowerCase());
  const tell = () => {
    count.textContent = `${chosen.size} of ${fits.length} machines that fit are chosen; ${verdicts.length - fits.length} do not fit or are not free`;
    changed();
  };
  const box = (one) => {
    if (!canBe(one)) return "";
    const node = element("input", {type: "checkbox", "aria-label": `Erase and install ${one.target}`});
    node.checked = chosen.has(one.target);
    node.addEventListener("change", () => { chosen[node.checked ? "add" : "delete"](one.target); tell(); });
    return node;
  };
  const draw = () => {
    const hits = verdicts.filter(isShown);
    rows.replaceChildren(table("Machines of the plan", ["Choose", "Machine", "Engine", "Fits", "Disks that would be erased", "Reason"], hits.slice(0, listed).map((one) => [
      box(one), one.target, one.engine ?? "", one.fits ? "yes" : "no", disks(one), one.reason || one.warnings || ""])),
      ...(hits.length > listed ? [element("p", {class: "faint"}, `${hits.length} machines, the first ${listed}; search for others.`)] : []));
  };
  search.addEventListener("input", draw);
  all.addEventListener("click", () => { fits.filter(isShown).forEach((one) => chosen.add(one.target)); draw(); tell(); });
  none.addEventListener("click", () => { chosen.clear(); draw(); tell(); });
  draw();
  tell();
  return {
    node: element("div", {}, element("label", {for: "plan-search"}, "Find a machine: "), " ", search, " ", all, " ", none, count, rows),
    names: () => fits.filter((one) => chosen.has(one.target)).map((one) => one.target),
  };
}

// What will be erased, and the question for the number of machines. diskOf tells which disks the plan has
// chosen.
function makeConfirmation(look, diskOf, start) {
  const number = element("input", {id: "count", inputmode: "numeric", autocomplete: "off", required: "", size: "6"});
  const form = element("form", {class: "erase"}, element("label", {for: "count"}, `Type the number of machines that are erased, ${look.targets}, to continue: `), number, " ",
    element("button", {class: "danger"}, "Erase and install"));
  const said = makeDoer(form, "submit", (tell) => {
    if (Number(number.value) !== look.targets) throw new Error(`the number is ${look.targets}; nothing was changed`);
    return start(look.targets, tell);
  });
  const head = element("h2", {tabindex: "-1"}, "4. What will be erased");
  const node = element("section", {"aria-label": "What will be erased"}, head,
    element("p", {class: "stale"}, `Image ${look["image-name"]} will erase the disks of ${look.targets} ${look.targets === 1 ? "machine" : "machines"} of ${look.engines}.${look.large && look.large !== "no" ? ` This is a large job: ${look.large}.` : ""}`),
    ...(look["left-out"] ? [element("p", {}, `Left out: ${look["left-out"]}`)] : []),
    table("Machines that will be erased", ["Machine", "Address", "State", "Runs now", "Since", "Disks that are erased"], look.erased.slice(0, listed).map((one) => [
      one.name, one.address ?? "", one.state ?? "", one["image-name"] || "no image of this farm", age(one.since), diskOf(one.name) || one.disks || ""])),
    ...(look.erased.length > listed ? [element("p", {class: "faint"}, `and ${look.erased.length - listed} more machines`)] : []), form, said);
  return {node, head};
}

export function deployView(main, image) {
  let isOver = false;
  const engines = element("fieldset", {}, element("legend", {}, "Engines")), after = element("div"), last = element("div");
  const plan = makeButton("Plan", async (tell) => {
    const wanted = [...engines.querySelectorAll("input:checked")].map((one) => one.value);
    if (!wanted.length) throw new Error("choose an engine");
    after.replaceChildren();
    last.replaceChildren();
    const made = await act("deploy/plan", {image, engine: wanted.join(",")}, tell);
    const job = await ended(made.name, tell, () => isOver);
    if (job.state !== "done") throw new Error(`the plan ${made.name} has ended as ${job.state}: ${job.error ?? ""}`);
    showPlan(made.name, (await get(`jobs/${made.name}/verdicts`)).items);
    return [`plan ${made.name} is made; it has changed nothing`, ...made.said.map((one) => one.text)].join("; ");
  });
  const showPlan = (name, verdicts) => {
    const choice = makeChoice(verdicts, () => last.replaceChildren());
    const look = makeButton("Show what will be erased", async (tell) => {
      const names = choice.names();
      if (!names.length) throw new Error("choose a machine");
      const body = {plan: name, targets: foldNames(names)};
      const planned = new Map(verdicts.map((one) => [one.target, one]));
      const diskOf = (target) => disks(planned.get(target) ?? {});
      const confirmation = makeConfirmation(await act("deploy/start", {...body, "dry-run": true}, tell), diskOf, async (count, tellMore) => {
        const started = await act("deploy/start", {...body, count}, tellMore);
        location.hash = `#/jobs/${started.name}`;
      });
      last.replaceChildren(confirmation.node);
      confirmation.head.focus();
    });
    const head = element("h2", {tabindex: "-1"}, "3. Choose machines");
    after.replaceChildren(head, choice.node, look.node, look.said);
    head.focus();
  };
  main.replaceChildren(element("h2", {}, `Deploy ${image}`), element("h2", {}, "1. Choose engines"), engines,
    element("h2", {}, "2. Plan"), element("p", {class: "faint"}, "A plan compares the machines with the image, and changes nothing."), plan.node, plan.said, after, last);
  get("engines").then(({items}) => {
    engines.append(...items.map((item, number) => {
      const box = element("input", {type: "checkbox", id: `engine-${number}`, value: item.name});
      box.checked = items.length === 1;
      return element("span", {class: "choice"}, box, " ", element("label", {for: `engine-${number}`}, item.name));
    }));
  }).catch((error) => engines.append(element("p", {class: "stale"}, error.message)));
  return () => { isOver = true; };
}

// ---- Of a job, and of a machine

// A button that asks once more before it acts.
function makeTwice(text, question, what) {
  const dialog = element("dialog", {"aria-label": text}, element("form", {method: "dialog"}, element("p", {}, question),
    element("button", {value: "yes", class: "danger"}, text), " ", element("button", {value: "no"}, "Go back")));
  const button = makeButton(text, async (tell) => {
    dialog.returnValue = "";
    dialog.showModal();
    await new Promise((resolve) => dialog.addEventListener("close", resolve, {once: true}));
    return dialog.returnValue === "yes" ? what(tell) : "";
  });
  return {node: element("div", {}, button.node, button.said, dialog), button: button.node};
}

export function cancelForm(changed) {
  let record = null;
  const twice = makeTwice("Cancel the job", "A machine whose disk is half written stays locked until it is installed again.", async (tell) => {
    const answer = await act("job/cancel", {job: record.name}, tell);
    changed();
    return `cancelled${answer.targets.length ? `: ${answer.targets.length} machines have ended` : ""}`;
  });
  twice.button.hidden = true;
  return {
    node: twice.node,
    show(job) {
      record = job;
      twice.button.hidden = open.includes(job.state);
    },
  };
}

function outcome(answer) {
  const [one] = answer.items;
  if (one.code) throw new Error(one.text);
}

export function holdForm(name) {
  const reason = element("input", {id: "hold-reason", autocomplete: "off", required: ""});
  const form = element("form", {}, element("label", {for: "hold-reason"}, "Reason "), reason, " ", element("button", {}, "Hold"));
  const formSaid = makeDoer(form, "submit", async (tell) => {
    outcome(await act("target/hold", {targets: name, reason: reason.value}, tell));
    return "held: no deployment takes this machine";
  });
  const free = makeButton("End the hold", async (tell) => {
    outcome(await act("target/unhold", {targets: name}, tell));
    return "the hold has ended";
  });
  const node = element("div", {}, form, formSaid, free.node, free.said);
  return {
    node,
    show(item) {
      form.hidden = item.state === "held";
      free.node.hidden = item.state !== "held";
    },
  };
}
