// Elements of the live page. Text is never inserted as markup, because it comes from workers.

export const $ = (id) => document.getElementById(id);

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/// Foreign text without colours of terminals. Other control characters, and those that change the direction of text, are
/// shown as symbols.
export function clean(text) {
  return text
    // eslint-disable-next-line no-control-regex
    .replace(/\x1b\[[0-9;:?]*[ -/]*[@-~]/g, "")
    // eslint-disable-next-line no-control-regex
    .replace(/[\x00-\x08\x0b-\x1f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
}

// ---- Rows and items stay from one status to the next, so that focus and selection do not move.

export function row(body, key, columns) {
  let found = body.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!found) {
    found = element("tr", { role: "row", "data-key": key });
    columns.forEach(([label, kind], index) => {
      const head = index === 0;
      found.append(element(head ? "th" : "td", {
        scope: head && "row", role: head ? "rowheader" : "cell", "data-label": label, class: kind,
      }));
    });
    body.append(found);
  }
  return found;
}

/// Shows one item of a list for each value. Items change their places only while nobody points at the list.
export function items(list, values, keyOf, make, update) {
  const known = new Map([...list.children].map((item) => [item.dataset.key, item]));
  const wanted = values.map((value) => {
    const key = keyOf(value);
    let item = known.get(key);
    if (!item) {
      item = make(value);
      item.dataset.key = key;
      list.prepend(item);
    }
    known.delete(key);
    update(item, value);
    return item;
  });
  for (const gone of known.values()) gone.remove();
  if (list.matches(":hover, :focus-within")) return;
  if (wanted.some((item, index) => list.children[index] !== item)) list.replaceChildren(...wanted);
}
