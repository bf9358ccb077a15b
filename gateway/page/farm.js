// The farm at a glance; the list of jobs; one machine.
import {holdForm} from "./act.js";
import {farm, get, onceMore, onChange, whenOther} from "./feed.js";
import {makeGrid} from "./grid.js";
import {age, element, fields, jobName, kindOf, kinds, table} from "./words.js";

const byName = new Intl.Collator("en", {numeric: true}).compare;
const found = 100;          // Machines that a search lists

function jobRows(jobs) {
  return jobs.map((job) => [
    element("a", {href: `#/jobs/${job.name}`}, job.name), job.kind ?? "", job.state ?? "",
    job["image-name"] ?? job.source ?? "", job.by ?? "", age(job.created), job.stuck || job.error || "",
  ]);
}
const jobHeads = ["Job", "Kind", "State", "Image", "By", "Made", "Reason"];

// Ask again when the set of open jobs, or a state of one, has changed.
function watchJobs(show, limit) {
  const known = () => [...farm.jobs.values()].map((job) => `${job.id} ${job.state} ${job.stuck ?? ""}`).join();
  return whenOther(known, onceMore(async () => {
    try {
      const jobs = (await get("jobs")).items;
      show(jobs.length ? table("Jobs", jobHeads, jobRows(jobs.slice(0, limit))) : element("p", {class: "faint"}, "There are no jobs."));
    } catch (error) {
      show(element("p", {class: "stale"}, error.message));
    }
  }));
}

export function farmView(main) {
  const counts = element("ul", {class: "counts", "aria-label": "Machines by what they do"});
  const grid = makeGrid((item) => { location.hash = `#/machines/${encodeURIComponent(item.name)}`; });
  const search = element("input", {type: "search", id: "search", autocomplete: "off"});
  const results = element("div", {"aria-live": "polite"});
  const jobs = element("div"), doctor = element("div");
  main.replaceChildren(
    element("h2", {}, "Machines"), counts,
    element("label", {for: "search"}, "Find a machine by name, state, phase or reason: "), " ", search, results, grid.node,
    element("h2", {}, "Jobs"), jobs, element("h2", {}, "Health"), doctor);

  let items = [];
  const list = () => {
    const word = search.value.trim().toLowerCase();
    const hits = word ? items.filter((item) => [item.name, item.state, item.phase, item.reason].join(" ").toLowerCase().includes(word)) : [];
    results.replaceChildren(...(word ? [
      element("p", {class: "faint"}, hits.length > found ? `${hits.length} machines, the first ${found}:` : `${hits.length} machines`),
      table("Machines found", ["Name", "State", "Phase", "Reason"], hits.slice(0, found).map((item) => [
        element("a", {href: `#/machines/${encodeURIComponent(item.name)}`}, item.name),
        element("span", {class: "mark", "data-kind": kindOf(item)}, item.state ?? ""), item.phase ?? "", item.reason ?? ""])),
    ] : []));
  };
  search.addEventListener("input", list);

  const show = () => {
    items = [...farm.targets.values()].sort((a, b) => byName(a.name, b.name));
    grid.show(items);
    const sums = {};
    for (const item of items) sums[kindOf(item)] = (sums[kindOf(item)] ?? 0) + 1;
    counts.replaceChildren(...Object.keys(kinds).filter((kind) => sums[kind]).map((kind) =>
      element("li", {"data-kind": kind}, `${sums[kind]} ${kinds[kind]}`)));
    askJobs();
    followDoctor();
  };
  const askJobs = watchJobs((node) => jobs.replaceChildren(node), 10);
  const askDoctor = onceMore(async () => {
    try {
      const said = await get("doctor");
      doctor.replaceChildren(said.findings.length
        ? table("Findings", ["Level", "Finding", "Next step"], said.findings.map((one) => [one.level, one.text, one.next ?? ""]))
        : element("p", {class: "faint"}, "The brokers find nothing wrong."));
    } catch (error) {
      doctor.replaceChildren(element("p", {class: "stale"}, error.message));
    }
  });
  const followDoctor = whenOther(() => "", askDoctor);
  show();
  const timer = setInterval(askDoctor, 30000), off = onChange(show);
  return () => { clearInterval(timer); off(); grid.stop(); };
}

export function jobsView(main) {
  const jobs = element("div");
  main.replaceChildren(element("h2", {}, "Jobs"), jobs);
  const ask = watchJobs((node) => jobs.replaceChildren(node), 500);
  ask();
  return onChange(ask);
}

export function machineView(main, name) {
  const now = element("p", {class: "mark", "aria-live": "polite"}), record = element("div");
  const hold = holdForm(name);
  main.replaceChildren(element("h2", {}, `Machine ${name}`), now, hold.node, record);
  const ask = whenOther(() => ["state", "phase", "reason", "job"].map((field) => farm.targets.get(name)?.[field] ?? "").join(), onceMore(async () => {
    try {
      record.replaceChildren(fields(await get(`targets/${encodeURIComponent(name)}`), ["schema"]));
    } catch (error) {
      record.replaceChildren(element("p", {class: "stale"}, error.message));
    }
  }));
  const show = () => {
    const item = farm.targets.get(name) ?? {};
    now.dataset.kind = kindOf(item);
    now.replaceChildren(`${item.state ?? "unknown"}${item.phase ? `, phase ${item.phase}` : ""} `,
      item.job ? element("a", {href: `#/jobs/${jobName(item.job)}`}, jobName(item.job)) : "");
    hold.show(item);
    ask();
  };
  show();
  return onChange(show);
}
