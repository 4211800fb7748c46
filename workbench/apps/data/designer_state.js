// The state of a designer: checked as Python checks it, and as the query string of a permalink.

const ORDER = Object.keys(SUPPLIES.defaults);
const TRUTH = { True: true, False: false, true: true, false: false, 1: true, 0: false };

// The name in a list that begins most like another.
function closest(name, names) {
  const alike = (other) => {
    const at = [...other].findIndex((letter, i) => letter !== name[i]);
    return at < 0 ? other.length : at;
  };
  return names.reduce((best, other) => (alike(other) > alike(best) ? other : best));
}

// The state in canonical form; anything that cannot be throws a Refusal.
function checked(raw) {
  const state = { ...raw };
  if (state.source !== SUPPLIES.tensor.text) {
    throw new Refusal(pythonText(state.source), `this file holds ${SUPPLIES.tensor.text}`,
      "write a file of it: workbench designer FILE.html --tensor ...");
  }
  for (const name of [...Object.keys(SUPPLIES.bounds), "subnormals", "signed"]) {
    state[name] = plain(name, state[name]);
  }
  state.values = valuesOf(state.values);
  state.granularity = String(state.granularity).trim().replace(/^\/+/, "");
  state.schemes = besides(state.schemes);
  Object.keys(SUPPLIES.bounds).forEach((name) => checkWhole(name, state[name]));
  checkChoices(state);
  designed(state);
  return state;
}

// A whole number or a truth from its text; anything else as it is.
function plain(name, value) {
  if (typeof value !== "string") return value;
  if (name === "subnormals" || name === "signed") return TRUTH[value] ?? value;
  return /^\s*[+-]*\d+\s*$/.test(value) ? Number(value) : value;
}

function refuseEntry(name, value, why) {
  throw new Refusal(`${name} = ${pythonText(value)}`, why,
    `write ${pythonText(SUPPLIES.defaults[name])}`);
}

function checkWhole(name, value) {
  const [low, high] = SUPPLIES.bounds[name];
  const parameter = `Integer parameter 'FormatDesigner.${name}' must be`;
  if (!Number.isInteger(value)) {
    refuseEntry(name, value, `${parameter} an integer, not <class 'str'>.`);
  }
  if (value > high) refuseEntry(name, value, `${parameter} at most ${high}, not ${value}.`);
  if (value < low) refuseEntry(name, value, `${parameter} at least ${low}, not ${value}.`);
}

function checkChoices(state) {
  const choices = { kind: SUPPLIES.kinds, top: SUPPLIES.tops,
    axis: Object.values(SUPPLIES.words.axes), theme: Object.keys(SUPPLIES.looks) };
  for (const [name, options] of Object.entries(choices)) {
    if (!options.includes(state[name])) {
      refuseEntry(name, state[name], `Selector parameter 'FormatDesigner.${name}' does not accept `
        + `${pythonText(state[name])}; valid options include: '[${options.join(", ")}]'`);
    }
  }
  for (const name of ["subnormals", "signed"]) {
    if (typeof state[name] !== "boolean") {
      refuseEntry(name, state[name], `Boolean parameter 'FormatDesigner.${name}' must be True or `
        + `False, not ${pythonText(state[name])}.`);
    }
  }
}

// The values of a codebook, ascending, from numbers or from their text.
function valuesOf(values) {
  const parts = typeof values !== "string" ? values
    : values.replaceAll(",", " ").split(/\s+/).filter(Boolean);
  const numbers = parts.map((part) => (typeof part === "number" ? part : pythonFloat(part)));
  const example = "write -1, -0.5, 0, 0.5, 1", { values: most } = SUPPLIES.most;
  if (numbers.includes(undefined)) {
    throw new Refusal(`values ${pythonText(values)}`, "a codebook is a list of numbers", example);
  }
  const odd = numbers.filter((x) => !Number.isFinite(x)).sort((a, b) => a - b);
  if (odd.length) {
    throw new Refusal(`${general(odd[0])} among the values`,
      "those of a codebook are finite numbers", "leave it out, or write a number");
  }
  if (numbers.length < 2 || numbers.length > most) {
    throw new Refusal(`${numbers.length} values`, `a codebook drawn here has 2 to ${most}`, example);
  }
  numbers.sort((a, b) => a - b);
  const twice = numbers.find((x, i) => i && x === numbers[i - 1]);
  if (twice !== undefined) {
    throw new Refusal(`${general(twice)} twice`, "each code has a value of its own",
      "leave one out");
  }
  return numbers.map((x) => x + 0);
}

// Canonical texts of the schemes beside the design; empty ones are left out.
function besides(texts) {
  const schemes = texts.filter((text) => text.trim()).map(schemeOf);
  if (schemes.length > SUPPLIES.most.beside) {
    throw new Refusal(`${schemes.length} schemes`,
      `up to ${SUPPLIES.most.beside} stand beside the design`, "leave one out");
  }
  return schemes.map((scheme) => scheme.name);
}

// The state as the query string of a permalink, without its question mark.
function queryOf(state) {
  const pairs = [];
  for (const name of ORDER) {
    const value = state[name];
    if (JSON.stringify(value) === JSON.stringify(SUPPLIES.defaults[name])) continue;
    if (name === "schemes") value.forEach((text) => pairs.push(["scheme", text]));
    else pairs.push([name, linkText(value)]);
  }
  if (!state.schemes.length) pairs.push(["scheme", ""]);
  return pairs.map((pair) => pair.map(quoted).join("=")).join("&");
}

function linkText(value) {
  if (Array.isArray(value)) return value.map(pythonNumber).join(",");
  return typeof value === "boolean" ? pythonText(value) : String(value);
}

function quoted(text) {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) =>
    `%${sign.charCodeAt(0).toString(16).toUpperCase()}`).replaceAll("%20", "+");
}

// The state that a query string carries, over the defaults.
function stateOf(query) {
  const state = { ...SUPPLIES.defaults }, schemes = [];
  for (const pair of query.replace(/^[#?]+/, "").split("&").filter(Boolean)) {
    const [key, ...rest] = pair.split("=").map(unquoted);
    if (key === "scheme") schemes.push(rest.join("="));
    else if (key === "schemes" || !ORDER.includes(key)) {
      const close = closest(key, ["scheme", ...ORDER]);
      throw new Refusal(pythonText(key), "no entry of a link has this name",
        `write ${pythonText(close)}`);
    } else state[key] = rest.join("=");
  }
  return checked(schemes.length ? { ...state, schemes } : state);
}

// Text of a link; a percent sign that escapes nothing stands for itself.
function unquoted(text) {
  const spaced = text.replaceAll("+", " ");
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}

// Python that redoes it.
function codeOf(state) {
  const { text, shape } = SUPPLIES.tensor, [, kind, name] = text.match(/^(\w+):(.*)$/s);
  const given = ORDER.filter((key) => key === "source"
    || JSON.stringify(state[key]) !== JSON.stringify(SUPPLIES.defaults[key]));
  const of = kind === "array" ? given.filter((key) => key !== "source") : given;
  const passed = of.map((key) => `${key}=${pythonText(state[key])}`);
  const opening = kind === "array" ? `FormatDesigner.of(${[name, ...passed].join(", ")})`
    : `FormatDesigner(${passed.join(", ")})`;
  const tuple = `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
  const first = kind === "array"
    ? [`# ${name} is the array of shape ${tuple} that this designer was opened on`] : [];
  return ["import workbench as wb", "from workbench.explorers.format_designer import FormatDesigner",
    "", ...first, `designer = ${opening}`, "scheme = wb.scheme(designer.spec_text)",
    "for row in designer.rows():", "    print(row)"].join("\n");
}
