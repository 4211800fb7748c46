// The static host of bitEditor, which stands before this: the state lives in the address's fragment.
const KEYS = { f: "format", c: "code", x: "compare", b: "block", s: "scale", e: "elements",
  t: "theme" };

function digitsOf(name) {
  return Math.ceil(SUPPLIES.formats[name].bits / 4);
}

function hashOf(state) {
  const hex = (code, name) => code.toString(16).padStart(digitsOf(name), "0");
  const scheme = SUPPLIES.blocks[state.block];
  const texts = { ...state, code: `0x${hex(state.code, state.format)}`,
    compare: state.compare.join(","), scale: scheme && `0x${hex(state.scale, scheme.scale)}`,
    elements: scheme && state.elements.map((code) => hex(code, scheme.element)).join("") };
  const differs = (key) => JSON.stringify(state[key]) !== JSON.stringify(SUPPLIES.defaults[key])
    || (key === "code" && state.format !== SUPPLIES.defaults.format);
  const changed = Object.entries(KEYS).filter(([, key]) => differs(key));
  const pairs = changed.length ? changed : [["f", "format"], ["c", "code"]];
  const plain = (text) => encodeURIComponent(text).replace(/%2C/g, ",").replace(/%2F/g, "/")
    .replace(/%40/g, "@").replace(/%3D/g, "=");
  return pairs.map(([short, key]) => `${short}=${plain(texts[key])}`).join("&");
}

// The state of a fragment, or a sentence on what is wrong with it.
function stateOf(hash) {
  const state = { ...SUPPLIES.defaults };
  for (const pair of hash.replace(/^#/, "").split("&").filter(Boolean)) {
    const [short, ...rest] = pair.split("=");
    const key = KEYS[short];
    if (!key) return `${short} → no entry of a link has this name → write f, c, x, b, s, e or t`;
    const text = unescaped(rest.join("="));
    if (key === "format") state.code = null;
    state[key] = key === "compare" ? text.split(/,(?![^(]*\))/) : text;
  }
  return checked(state);
}

// Text of a link; a percent sign that escapes nothing stands for itself.
function unescaped(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function checked(state) {
  for (const name of [state.format, ...state.compare]) {
    if (!SUPPLIES.formats[name]) {
      return `${name || "nothing"} → this file holds no such format → write ${closest(name)}`;
    }
  }
  const many = state.compare.length;
  if (many < 1 || many > 8) return `${many} formats → 1 to 8 are compared → write f32, bf16`;
  const scheme = SUPPLIES.blocks[state.block];
  if (state.block && !scheme) {
    return `${state.block} → this file holds no such block → write ${SUPPLIES.blockNames[0]}`;
  }
  return withCodes(state, scheme);
}

function withCodes(state, scheme) {
  const code = state.code === null ? bitFormat(SUPPLIES.formats[state.format]).encode(3.14159)
    : codeOf(state.code, state.format);
  if (typeof code === "string") return code;
  const block = scheme ? blockOf(state, scheme) : { scale: null, elements: null };
  return typeof block === "string" ? block : { ...state, code, ...block };
}

function blockOf(state, scheme) {
  const { scale, elements } = { ...state, scale: state.scale ?? scheme.example.scale,
    elements: state.elements ?? scheme.example.elements };
  const digits = digitsOf(scheme.element);
  const texts = typeof elements === "string" ? elements.match(new RegExp(`.{1,${digits}}`, "g")) ?? []
    : elements;
  const codes = texts.map((text) =>
    codeOf(typeof text === "string" ? `0x${text}` : text, scheme.element));
  const wrong = [codeOf(scale, scheme.scale), ...codes].find((code) => typeof code === "string");
  if (wrong) return wrong;
  if (codes.length === scheme.size) return { scale: codeOf(scale, scheme.scale), elements: codes };
  return `${codes.length} elements → a block of ${state.block} has ${scheme.size} → `
    + `give ${scheme.size} codes`;
}

// A code from a number or from text such as 0x44, or why it is none.
function codeOf(text, name) {
  const format = bitFormat(SUPPLIES.formats[name]);
  if (typeof text === "number") return text;
  const written = /^\d+$/.test(text) ? `0x${Number(text).toString(16)}` : text;
  const found = readEntry(format, /^0b/i.test(written) ? "binary" : "hex", written);
  return found.problem ?? found.code;
}

// The name in the file that begins most like another.
function closest(name) {
  const alike = (other) => [...other].findIndex((letter, i) => letter !== name[i]);
  const scored = SUPPLIES.names.map((other) => [alike(other) < 0 ? other.length : alike(other), other]);
  return scored.reduce((best, one) => (one[0] > best[0] ? one : best))[1];
}

const AFTERWARDS = 100; // milliseconds; browsers refuse an address that changes with every frame
let state = stateOf(location.hash), problem = "", waiting = 0;
if (typeof state === "string") [problem, state] = [state, SUPPLIES.start];
else if (!location.hash) state = SUPPLIES.start;

const editor = bitEditor({
  el: document.querySelector("main"),
  read: () => ({ ...SUPPLIES, state, problem }),
  tell: (next) => take(checked(next)),
});

// A new state goes into the address; a refusal leaves everything as it was.
function take(next) {
  problem = typeof next === "string" ? next : "";
  if (!problem) {
    state = next;
    document.documentElement.dataset.theme = state.theme;
    clearTimeout(waiting);
    waiting = setTimeout(() => history.replaceState(null, "", `#${hashOf(state)}`), AFTERWARDS);
  }
  editor.change();
}

document.documentElement.dataset.theme = state.theme;
addEventListener("hashchange", () => take(stateOf(location.hash)));
document.body.dataset.ready = "yes";
