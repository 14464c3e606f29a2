// What the editor knows of YAML: colours of a line, where the caret stands in the document, and what may stand there
// by the JSON Schema of declared files. Pure functions: nothing here touches the page.

const KEY = String.raw`(?<=^\s*(?:-\s+)*|[{,]\s*)[^\s#{}[\],"':-][^#{}[\],:]*(?=:(?:\s|$))`;
const TOKENS = new RegExp([
  String.raw`(?<note>(?<=^|\s)#.*$)`,
  `(?<key>${KEY})`,
  String.raw`(?<ref>\$\{[^}]*\})`,
  String.raw`(?<text>"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')`,
  String.raw`(?<word>(?<=[\s:[{,]|^)(?:true|false|null|\d+(?:\.\d+)?(?:ms|s|m|h|d|w)?)(?=[\s,\]}]|$))`,
].join("|"), "g");

// A line as [kind, text] pairs; the kind is empty for what has no colour.
export function paint(line) {
  const found = [];
  let at = 0;
  for (const match of line.matchAll(TOKENS)) {
    if (match.index > at) found.push(["", line.slice(at, match.index)]);
    found.push([Object.entries(match.groups).find(([, text]) => text !== undefined)[0], match[0]]);
    at = match.index + match[0].length;
  }
  if (at < line.length) found.push(["", line.slice(at)]);
  return found;
}

// Where the caret stands: `path` holds the mappings and lists from the document down to it, each with its `name` in the
// one above ("[]" in a list) and the `keys` that it has; `kind` says what is being written, `prefix` what of it is there.
export function place(text, caret) {
  const root = { at: -1, name: "", keys: new Set() };
  let stack = [root];
  let found;
  let offset = 0;
  for (const line of text.split("\n")) {
    const here = caret >= offset && caret <= offset + line.length;
    const shown = here ? line.slice(0, caret - offset) : line;
    offset += line.length + 1;
    if (!here && /^\s*(#|$)/.test(line)) continue;
    const [, space, dashes, rest] = /^(\s*)((?:-\s+)*)(.*)$/.exec(shown);
    if (dashes) {
      while (stack.at(-1).at > space.length || (stack.at(-1).at === space.length && stack.at(-1).list)) stack = stack.slice(0, -1);
      stack = [...stack, { at: space.length, name: "[]", list: true, keys: new Set() }];
    }
    const column = space.length + dashes.length;
    const colon = /^("[^"]*"|[^\s#{}[\],"':][^#{}[\],:]*)\s*:(\s+|$)/.exec(rest);
    if (colon || here) while (stack.length > 1 && stack.at(-1).at >= column) stack = stack.slice(0, -1);
    if (!colon) {
      if (here) {
        const { opened, ...written } = inside(rest, [], stack.at(-1).list ? "either" : "key");
        found = { path: [...stack, ...opened], flow: /[{[]/.test(rest), ...written };
      }
      continue;
    }
    const name = colon[1].replaceAll('"', "");
    stack.at(-1).keys.add(name);
    const entry = { at: column, name, keys: new Set() };
    if (here) {
      const { opened, ...written } = inside(rest.slice(colon[0].length), [entry], "value");
      found = { path: [...stack, ...opened], flow: true, ...written };
    }
    stack = [...stack, entry];
  }
  return { flow: false, ...found };
}

// Within a value: brackets that are still open are mappings and lists of their own.
function inside(value, opened, kind) {
  let from = 0;
  let name = "";
  for (let at = 0; at < value.length; at += 1) {
    const sign = value[at];
    if (sign === "{" || sign === "[") {
      if (name) opened.push({ name, keys: new Set() });
      opened.push(sign === "[" ? { name: "[]", keys: new Set(), open: sign } : { name: null, keys: new Set(), open: sign });
      [from, name] = [at + 1, ""];
    } else if (sign === "}" || sign === "]") {
      while (opened.length && !opened.pop().open);
      [from, name] = [at + 1, ""];
    } else if (sign === "," && opened.at(-1)?.open) [from, name] = [at + 1, ""];
    else if (sign === ":" && opened.at(-1)?.open === "{" && /\s/.test(value[at + 1] ?? " ")) {
      name = value.slice(from, at).trim();
      opened.at(-1).keys.add(name);
      from = at + 1;
    }
  }
  const prefix = value.slice(from).trimStart();
  const last = opened.at(-1)?.open;
  if (last === "{" && !name) return { opened: opened.filter((one) => one.name !== null), keys: opened.at(-1).keys, prefix, kind: "key" };
  if (name) opened.push({ name, keys: new Set() });
  return { opened: opened.filter((one) => one.name !== null), prefix, kind: last ? "value" : kind };
}

// All shapes that a schema allows, without references and choices.
function shapes(schema, node, depth = 0) {
  if (!node || typeof node !== "object" || depth > 12) return [];
  if (node.$ref) return shapes(schema, schema.$defs[node.$ref.split("/").at(-1)], depth + 1);
  const branches = node.anyOf ?? node.oneOf ?? node.allOf;
  return branches ? branches.flatMap((branch) => shapes(schema, branch, depth + 1)) : [node];
}

// Of several shapes those that allow most of the keys that are there.
function fitting(found, keys) {
  const score = (shape) => [...keys].filter((key) => shape.properties?.[key]).length;
  const best = Math.max(0, ...found.map(score));
  return found.filter((shape) => score(shape) === best);
}

// What may stand at a place: { text, about } by the schema, those that begin with what is written.
export function offers(schema, { path, prefix, kind, keys }) {
  let nodes = shapes(schema, schema);
  path.slice(1).forEach((step, number) => {
    const above = fitting(nodes, path[number].keys);
    nodes = above.flatMap((shape) => shapes(schema, step.name === "[]" ? shape.items : shape.properties?.[step.name] ?? shape.additionalProperties));
  });
  const known = keys ?? path.at(-1).keys;
  const found = new Map();
  const named = () => {
    for (const shape of fitting(nodes, known)) for (const [name, inner] of Object.entries(shape.properties ?? {})) {
      const forms = shapes(schema, inner);
      const nested = forms.length > 0 && forms.every((form) => [form.type].flat().some((type) => type === "object" || type === "array"));
      if (!known.has(name)) found.set(name, { text: name, key: true, nested, about: inner.description ?? forms[0]?.description ?? "" });
    }
  };
  const chosen = () => {
    for (const shape of nodes) {
      const values = shape.enum ?? ("const" in shape ? [shape.const] : shape.type === "boolean" ? [true, false] : []);
      for (const value of values) if (value !== null) found.set(String(value), { text: String(value), about: "" });
    }
  };
  if (kind !== "value") named();
  if (kind !== "key") chosen();
  const wanted = prefix.toLowerCase();
  return [...found.values()].filter((one) => one.text.toLowerCase().startsWith(wanted) && one.text !== prefix).slice(0, 60);
}
