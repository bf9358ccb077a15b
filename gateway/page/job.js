// One job: what it is, how far it is, how fast, why machines failed, and its machines.
import {cancelForm} from "./act.js";
import {farm, get, onceMore, onChange, whenOther, withoutPhase} from "./feed.js";
import {bytes, element, fields, kindOf, table} from "./words.js";

const rowHeight = 30, shown = 20;   // Rows that are in the document, whatever their number

// A table that has only the rows that can be seen. Its number of rows is told to screen readers.
function makeRows(caption, heads, cells) {
  const body = element("tbody"), above = element("tr"), below = element("tr");
  const box = element("div", {class: "rows", tabindex: "0", role: "region", "aria-label": caption},
    element("table", {"aria-label": caption}, element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", {scope: "col"}, head)))), body));
  box.style.overflowY = "auto";
  box.style.maxHeight = `${rowHeight * shown}px`;
  let items = [];
  const draw = () => {
    const first = Math.max(0, Math.min(Math.floor(box.scrollTop / rowHeight) - 5, items.length - shown));
    const some = items.slice(first, first + shown + 10);
    above.style.height = `${first * rowHeight}px`;
    below.style.height = `${Math.max(0, items.length - first - some.length) * rowHeight}px`;
    body.replaceChildren(above, ...some.map((item, number) =>
      element("tr", {"aria-rowindex": first + number + 2}, ...cells(item).map((cell) => element("td", {}, cell)))), below);
    box.querySelector("table").setAttribute("aria-rowcount", items.length + 1);
  };
  box.addEventListener("scroll", () => requestAnimationFrame(draw));
  return {node: box, show(list) { items = list; draw(); }};
}

export function jobView(main, name) {
  const head = element("div"), rate = element("p", {class: "faint", "aria-live": "off"});
  const counts = element("ul", {class: "counts", "aria-label": "Machines by phase"}), reasons = element("div");
  const rows = makeRows("Machines of the job", ["Machine", "Phase", "Progress", "Reason"], (item) => [
    element("a", {href: `#/machines/${encodeURIComponent(item.name)}`}, item.name),
    element("span", {class: "mark", "data-kind": kindOf({state: "locked", ...item})}, item.phase ?? ""),
    item.total > 0 ? element("progress", {max: item.total, value: item.done, "aria-label": `${item.name}: ${Math.round(100 * item.done / item.total)} %`}) : "",
    item.stuck || item.error || item.text || ""]);
  const cancel = cancelForm(() => load());
  main.replaceChildren(element("h2", {}, `Job ${name}`), head, cancel.node, rate, counts, reasons, element("h2", {}, "Machines"), rows.node);

  let record = null, targets = new Map(), last = null;
  const load = onceMore(async () => {
    try {
      record = await get(`jobs/${encodeURIComponent(name)}`);
      targets = new Map((record.targets ?? []).map((item) => [item.name, item]));
      cancel.show(record);
      head.replaceChildren(fields(record, ["schema", "targets", "log", "name", "id"]));
    } catch (error) {
      head.replaceChildren(element("p", {class: "stale"}, error.message));
    }
    show();
  });
  const ask = whenOther(() => farm.jobs.get(record?.id)?.state ?? "", load);
  const show = () => {
    const live = record && farm.jobs.get(record.id);
    ask();
    for (const [target, value] of live?.targets ?? []) {
      const {topic, cursor, schema, job, target: self, ...told} = value;
      targets.set(target, {...withoutPhase(targets.get(target)), ...told, name: target});
    }
    const items = [...targets.values()];
    rows.show(items);
    const sums = new Map(), why = new Map();
    let done = 0;
    for (const item of items) {
      sums.set(item.phase, (sums.get(item.phase) ?? 0) + 1);
      const reason = item.phase === "failed" && (item.error || item.text);
      if (reason) why.set(reason, [...(why.get(reason) ?? []), item.name]);
      if (item.phase === "unpack" || item.phase === "verify") done += Number(item.done) || 0;
    }
    counts.replaceChildren(...[...sums].map(([phase, count]) =>
      element("li", {"data-kind": kindOf({phase, state: "locked"})}, `${count} ${phase ?? "not begun"}`)));
    reasons.replaceChildren(...(why.size ? [element("h2", {}, "Why machines failed"), table("Reasons", ["Machines", "Reason"],
      [...why].map(([reason, names]) => [`${names.length}: ${names.slice(0, 5).join(", ")}${names.length > 5 ? ", ..." : ""}`, reason]))] : []));
    const now = performance.now();
    if (!last || now - last.at > 2000) {
      if (last && done > last.done) rate.textContent = `${bytes((done - last.done) / (now - last.at) * 1000)} a second are written and verified`;
      else rate.textContent = "";
      last = {at: now, done};
    }
  };
  show();
  const timer = setInterval(() => { if (!farm.jobs.has(record?.id)) load(); }, 10000);
  const off = onChange(show);
  return () => { clearInterval(timer); off(); };
}
