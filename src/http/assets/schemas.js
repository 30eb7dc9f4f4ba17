// JSON Schemas as text and tables, and examples of values. All text comes from workers, so it is never inserted as markup.

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export const PREFIX = "#/components/schemas/";
const DEEPEST = 6;
const NAMES = { integer: "int", number: "float", boolean: "bool", null: "None", string: "str" };

const join = (parts, between) => parts.flatMap((part, index) => (index ? [between, ...part] : part));
const json = (value) => JSON.stringify(value);

/// Where the description of a class is on the page.
export const anchor = (kind, name) => `${kind}-${encodeURIComponent(name)}`;

/// The schema that a reference leads to.
export function follow(schema, schemas) {
  for (let depth = 0; schema?.$ref?.startsWith?.(PREFIX) && depth < DEEPEST; depth += 1) {
    schema = schemas[schema.$ref.slice(PREFIX.length)];
  }
  return schema ?? {};
}

/// A type in a few words, as nodes.
export function type(schema, depth = 0) {
  if (schema === false) return ["nothing"];
  if (schema === true || schema == null || depth > DEEPEST) return ["any"];
  if (typeof schema.$ref === "string") {
    const name = schema.$ref.slice(PREFIX.length);
    return [element("a", { href: `#${anchor("schema", name)}` }, name)];
  }
  if ("const" in schema) return [json(schema.const)];
  if (Array.isArray(schema.enum)) return [schema.enum.map(json).join(" | ")];
  const several = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (Array.isArray(several)) return join(several.map((each) => type(each, depth + 1)), schema.allOf ? " & " : " | ");
  if (Array.isArray(schema.type)) return join(schema.type.map((each) => type({ ...schema, type: each }, depth + 1)), " | ");
  return plain(schema, depth);
}

function plain(schema, depth) {
  switch (schema.type) {
    case "array":
      if (Array.isArray(schema.prefixItems)) {
        return ["[", ...join(schema.prefixItems.map((each) => type(each, depth + 1)), ", "), "]"];
      }
      return ["list[", ...type(schema.items, depth + 1), "]"];
    case "object":
      if (schema.properties) return [`{${Object.keys(schema.properties).join(", ")}}`];
      return ["dict[str, ", ...type(schema.additionalProperties ?? true, depth + 1), "]"];
    case "string":
      if (schema.contentEncoding) return [`bytes (${schema.contentEncoding})`];
      return [schema.format ? `str (${schema.format})` : "str"];
    default:
      if (typeof schema["x-python-type"] === "string") return [schema["x-python-type"]];
      return [NAMES[schema.type] ?? "any"];
  }
}

const LIMITS = { minimum: "≥", exclusiveMinimum: ">", maximum: "≤", exclusiveMaximum: "<", minLength: "length ≥", maxLength: "length ≤", pattern: "matches" };

/// A table of the properties of an object, in the given order.
export function properties(schema, order = []) {
  const place = (name) => { const at = order.indexOf(name); return at < 0 ? order.length : at; };
  const names = Object.keys(schema.properties ?? {}).sort((one, other) => place(one) - place(other));
  const required = new Set(schema.required ?? []);
  return element("table", {}, element("tbody", {}, ...names.map((name) => {
    const each = schema.properties[name];
    const cell = element("td", {}, element("span", { class: "type" }, ...type(each)));
    if (each && "default" in each) cell.append(element("span", { class: "soft type" }, ` = ${json(each.default)}`));
    const limits = Object.entries(LIMITS).filter(([key]) => each && key in each).map(([key, sign]) => `${sign} ${each[key]}`);
    const about = [each?.description, limits.join(", ")].filter((text) => typeof text === "string" && text);
    if (about.length) cell.append(element("p", {}, about.join("\n")));
    return element("tr", {}, element("th", { scope: "row", class: required.has(name) && "required" }, name), cell);
  })));
}

const STRINGS = { "date-time": "2026-01-31T12:00:00Z", date: "2026-01-31", time: "12:00:00", uuid: "00000000-0000-4000-8000-000000000000", decimal: "1.50", path: "file.txt", email: "ada@example.org", uri: "urn:example:1" };

/// A value that fits a schema, as a start for the form.
export function example(schema, schemas, depth = 0) {
  if (schema == null || typeof schema !== "object" || depth > DEEPEST) return null;
  if ("default" in schema) return schema.default;
  if (Array.isArray(schema.examples) && schema.examples.length) return schema.examples[0];
  if ("const" in schema) return schema.const;
  if (Array.isArray(schema.enum)) return schema.enum[0] ?? null;
  const inner = (each) => example(each, schemas, depth + 1);
  if (schema.$ref) return inner(follow(schema, schemas));
  const several = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (Array.isArray(several)) return inner(several.find((each) => each?.type !== "null") ?? several[0]);
  const kind = Array.isArray(schema.type) ? schema.type.find((each) => each !== "null") : schema.type;
  switch (kind) {
    case "array": return Array.isArray(schema.prefixItems) ? schema.prefixItems.map(inner) : [inner(schema.items)].filter((each) => each !== null);
    case "object": {
      const names = Object.keys(schema.properties ?? {});
      const required = names.filter((name) => schema.required?.includes(name));
      return Object.fromEntries((required.length ? required : names).map((name) => [name, inner(schema.properties[name])]));
    }
    case "string": return schema.contentEncoding ? "AAEC" : STRINGS[schema.format] ?? "text";
    case "integer": return Math.max(1, Math.ceil(schema.minimum ?? 1), Math.floor((schema.exclusiveMinimum ?? 0) + 1));
    case "number": return Math.max(1, schema.minimum ?? 1, (schema.exclusiveMinimum ?? 0) + 1);
    case "boolean": return true;
    default: return depth ? null : {};
  }
}
