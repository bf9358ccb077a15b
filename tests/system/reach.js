// What hinders people on a page: texts, borders of fields and colours of machines that do not stand out (WCAG
// 2.1 AA: 4.5, 3 for large letters, for what is no text), what can be used and has no name, ids that are given twice.
// The value is a list of faults.
(() => {
  const faults = [];
  const parse = (colour) => {
    const [red, green, blue, alpha = 1] = colour.match(/[\d.]+/g).map(Number);
    return {red, green, blue, alpha};
  };
  const over = (top, below) => {
    const mix = (name) => top[name] * top.alpha + below[name] * (1 - top.alpha);
    return {red: mix("red"), green: mix("green"), blue: mix("blue"), alpha: 1};
  };
  const light = ({red, green, blue}) => [red, green, blue].map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, number) => sum + part * [0.2126, 0.7152, 0.0722][number], 0);
  const contrast = (one, other) => {
    const [most, least] = [light(one), light(other)].sort((a, b) => b - a);
    return (most + 0.05) / (least + 0.05);
  };
  const behind = (node) => {
    const own = node ? parse(getComputedStyle(node).backgroundColor) : parse("rgb(255, 255, 255)");
    return own.alpha === 1 ? own : over(own, behind(node.parentElement));
  };
  const seen = (node) => node.checkVisibility({checkOpacity: true, checkVisibilityCSS: true}) && node.getBoundingClientRect().width > 0;
  const told = (node) => `<${node.localName}${node.id ? ` id=${node.id}` : ""}> ${(node.innerText ?? "").trim().slice(0, 40)}`;
  const need = (least, got, node, what) => { if (got < least) faults.push(`${told(node)}: ${what} ${got.toFixed(2)}, not ${least}`); };

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let texts = 0;
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !seen(node)) continue;
    const style = getComputedStyle(node), size = parseFloat(style.fontSize);
    const back = behind(node);
    need(size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5, contrast(over(parse(style.color), back), back), node, "contrast of text");
    texts++;
  }
  if (!texts) faults.push("the page has no text");
  for (const node of [...document.querySelectorAll("input, select, textarea, button")].filter(seen)) {
    const style = getComputedStyle(node);
    if (!["checkbox", "radio"].includes(node.type)) need(3, contrast(parse(style.borderTopColor), behind(node.parentElement)), node, "contrast of the border");
  }
  const root = getComputedStyle(document.documentElement);
  const probe = document.createElement("i");
  document.body.append(probe);
  const colourOf = (name) => {
    probe.style.color = root.getPropertyValue(name);
    return parse(getComputedStyle(probe).color);
  };
  for (const name of ["free", "work", "boot", "done", "wrong", "held", "gone", "other"])
    for (const back of ["--back", "--sheet"]) need(3, contrast(colourOf(`--${name}`), colourOf(back)), document.body, `contrast of --${name} on ${back}`);
  probe.remove();

  const name = (node) => [node.getAttribute("aria-label"), ...(node.getAttribute("aria-labelledby") ?? "").split(/\s+/).map((id) => id && document.getElementById(id)?.innerText),
    ...[...(node.labels ?? [])].map((label) => label.innerText), ["A", "BUTTON", "SUMMARY"].includes(node.tagName) ? node.innerText : ""].map((text) => (text ?? "").trim()).find(Boolean);
  for (const node of [...document.querySelectorAll("a[href], button, input, select, textarea, table, dialog, [tabindex]:not([tabindex='-1'])")].filter(seen))
    if (!name(node)) faults.push(`${told(node)} has no name`);
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  for (const id of new Set(ids.filter((one, number) => ids.indexOf(one) !== number))) faults.push(`the id ${id} is given twice`);
  for (const label of document.querySelectorAll("label[for]")) if (!document.getElementById(label.htmlFor)) faults.push(`the label "${label.innerText}" is of no field`);
  if (document.documentElement.scrollWidth > innerWidth) faults.push(`the page is ${document.documentElement.scrollWidth} wide, and the window ${innerWidth}`);
  return faults;
})()
