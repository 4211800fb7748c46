// Schemes: a format, designed or named, with one of the ways to share scales that the file holds.

// A format with how it shares scales; `held` is what the file knows of that, null for no scale.
function schemeWith(format, shared) {
  const held = shared ? heldOf(shared) : null;
  const text = shared ? `${format.name}/${held.text}` : format.name;
  const short = Object.entries(SUPPLIES.names).find(([, long]) => long === text);
  return { format, held, name: short ? short[0] : text, family: familyOf(format, held),
    scaleText: held ? `/${held.text}` : "" };
}

// One way of sharing scales, by its text; `b32` and `g32` mean the same.
function heldOf(shared) {
  const text = shared.toLowerCase().replace(/\s/g, "").replace(/\*(fp32|float32)/g, "*f32");
  const once = text.split("*").length === 2 ? text.replace(/\*f32/, "") : text;
  const key = once.replace(/^b(?=\d)/, "g");
  const held = Object.hasOwn(SUPPLIES.shared, key) ? SUPPLIES.shared[key] : null;
  if (!held) {
    throw new Refusal(pythonText(shared), "this file holds no values scaled so",
      `write ${Object.keys(SUPPLIES.shared).join(", ")}`);
  }
  return { ...held, key, text: once };
}

function familyOf(format, held) {
  if (held?.group && held.level === "e8m0") return "mx";
  if (held?.group && held.two && format.family === "float") return "nvfp";
  return { integer: "int", fixed: "int", codebook: "codebook" }[format.family] ?? "float";
}

// The designed scheme.
const formatsMade = new Map();

function designed(state) {
  const { kind, exponent: e, mantissa: m, bias_shift: shift, signed, subnormals } = state;
  const key = JSON.stringify([kind, e, m, shift, signed, subnormals, state.top, state.width,
    state.values]);
  if (!formatsMade.has(key)) {
    if (formatsMade.size > 64) formatsMade.clear();
    formatsMade.set(key, kind === "integer" ? integerFormat(state.width, signed)
      : kind === "codebook" ? codebookFormat(state.values) : designedFloat(state));
  }
  return schemeWith(formatsMade.get(key), state.granularity || usualShared(formatsMade.get(key)));
}

function designedFloat({ exponent: e, mantissa: m, bias_shift: shift, top, signed, subnormals }) {
  const chosen = top === "usual" ? usualTop(e, m) : top;
  return floatFormat(e, m, { top: chosen, bias: usualBias(e, chosen) + shift, sign: signed,
    subnormals: subnormals || !e });
}

// How scales are shared where nothing is said: floats and the like stand on their own.
function usualShared(format) {
  return format.alone ? "" : "tensor";
}

// A scheme from its text, as far as a file can follow it.
const schemesRead = new Map();

function schemeOf(text) {
  const tight = text.replace(/\s/g, "").toLowerCase();
  if (schemesRead.has(tight)) return schemesRead.get(tight);
  const head = tight.match(/^(?:[^/*+@(]|\([^)]*\))*/)[0];
  const rest = tight.slice(head.length);
  if (Object.hasOwn(SUPPLIES.names, head)) return schemeOf(SUPPLIES.names[head] + rest);
  const format = namedFormat(head);
  const shared = rest.replace(/^\/|^(?=[*@+])/, (sign) => (sign ? "" : "tensor"));
  const scheme = schemeWith(format, rest ? shared : usualShared(format));
  schemesRead.set(tight, scheme);
  return scheme;
}

function namedFormat(name) {
  const text = SUPPLIES.aliases[name] ?? name;
  if (text === "bf16") return floatFormat(8, 7, { top: "ieee" });
  if (text === "f16") return floatFormat(5, 10, { top: "ieee" });
  if (Object.hasOwn(SUPPLIES.tables, text)) return tableFormat(SUPPLIES.tables[text]);
  const float = text.match(/^(u?)e(\d+)m(\d+)(fnuz|fn|ieee|finite)?(?:\((.*)\))?$/);
  if (float && text !== "e8m0") return namedFloat(float, name);
  const whole = text.match(/^(u?)int(\d+)(n?)$/);
  if (whole) return integerFormat(Number(whole[2]), !whole[1], Boolean(whole[3]));
  const typed = text.match(/^codebook\((.*)\)$/);
  if (typed) return typedCodebook(typed[1]);
  const known = [...SUPPLIES.words.known, ...Object.keys(SUPPLIES.names)];
  throw new Refusal(pythonText(name), "this file holds no such format",
    `write ${pythonText(closest(name, known))}`);
}

function namedFloat([, unsigned, exponent, mantissa, suffix, options], name) {
  const e = Number(exponent), m = Number(mantissa);
  const short = suffix === "fn" && e + m + 1 <= 6;
  const fields = { top: short ? "finite" : suffix ?? usualTop(e, m), sign: !unsigned };
  for (const option of (options ?? "").split(",").map((part) => part.trim()).filter(Boolean)) {
    const bias = option.match(/^bias=(-?\d+)$/), top = option.match(/^top=(ieee|fn|fnuz|finite)$/);
    if (bias) fields.bias = Number(bias[1]);
    else if (top) [, fields.top] = top;
    else if (option === "nosub") fields.subnormals = false;
    else if (/^(saturate|sat|inf|nan)$/.test(option)) {
      fields.overflow = option.replace(/^sat$/, "saturate");
    } else {
      throw new Refusal(`option '${option}' in '${name}'`, "a float has the options bias=N, "
        + "saturate, inf, nan, nosub, top=ieee|fn|fnuz|finite",
        "write for example e4m3fn(bias=8,nan)");
    }
  }
  return floatFormat(e, m, fields);
}

function typedCodebook(text) {
  const parts = text.split(",");
  const wrong = parts.find((part) => pythonFloat(part) === undefined);
  if (wrong !== undefined) {
    throw new Refusal(`codebook(${text})`, `could not convert string to float: ${pythonText(wrong)}`,
      "write codebook(-1,-0.5,0,0.5,1)");
  }
  return codebookFormat(parts.map(pythonFloat));
}
