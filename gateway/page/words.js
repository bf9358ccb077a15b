// Elements and words. Foreign text only ever becomes textContent.

// element("td", {"data-kind": "free"}, "text", otherElement...)
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) made.setAttribute(key, value);
  }
  made.append(...children.map((child) => child ?? ""));
  return made;
}

export function age(ms) {
  if (!ms) return "";
  const s = Math.max(0, Math.round((Date.now() - ms) / 1000));
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86400)} days ago`;
}

export function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; count >= 1024 && unit < units.length - 1; unit++) count /= 1024;
  return `${unit ? count.toFixed(1) : Math.round(count)} ${units[unit]}`;
}

// A job's short name from its uid: the first 40 bits in base 32.
export function jobName(uid) {
  const letters = "abcdefghijklmnopqrstuvwxyz234567";
  if (!/^[0-9a-f]{32}$/.test(uid ?? "")) return uid ?? "";
  const bits = BigInt("0x" + uid.slice(0, 10));
  let name = "j-";
  for (let shift = 35n; shift >= 0n; shift -= 5n) name += letters[Number((bits >> shift) & 31n)];
  return name;
}

// What a machine does, as one of the few kinds that have a colour.
export function kindOf(target) {
  const {state, phase} = target;
  if (phase === "failed" || state === "failed") return "wrong";
  if (phase === "awaiting-first-boot" || phase === "reboot") return "boot";
  if (phase === "confirmed") return "done";
  if (state === "held" || state === "protected") return "held";
  if (state === "absent" || state === "pending") return "gone";
  if (phase && phase !== "cancelled") return "work";
  if (state === "free") return "free";
  return "other";
}

export const kinds = {
  free: "free", work: "in work", boot: "waits for its first boot", done: "confirmed", wrong: "failed",
  held: "held or protected", gone: "absent or not approved", other: "other",
};

export function table(caption, heads, rows) {
  const body = element("tbody", {});
  for (const row of rows) body.append(element("tr", {}, ...row.map((cell) => element("td", {}, cell))));
  // A table that is wider than the window is moved by keys.
  return element("div", {class: "wide", tabindex: "0", role: "region", "aria-label": caption}, element("table", {"aria-label": caption},
    element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", {scope: "col"}, head)))), body));
}

export function fields(record, skipped = []) {
  const list = element("dl");
  for (const [name, value] of Object.entries(record)) {
    if (skipped.includes(name) || value === null || typeof value === "object" || value === "") continue;
    const isTime = typeof value === "number" && value > 1e12 && value < 1e13;
    list.append(element("dt", {}, name), element("dd", {}, isTime ? new Date(value).toLocaleString() : String(value)));
  }
  return list;
}
