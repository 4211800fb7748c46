// What a code means and which code a number takes, from the descriptor that Python made. Values,
// half-way points and ends are Python's; only binary32 is read by the browser itself.

function bitFormat(descriptor) {
  const shared = { ...descriptor, last: 2 ** descriptor.bits - 1 };
  const format = Object.assign(shared, descriptor.values ? tabled(descriptor) : binary32());
  format.fields = (code) => fieldsOf(format, code);
  format.part = (code, field) => Math.floor(code / 2 ** field.low) % 2 ** field.width;
  format.withPart = (code, field, part) =>
    code + (part - format.part(code, field)) * 2 ** field.low;
  format.hex = (code) => `0x${code.toString(16).padStart(Math.ceil(format.bits / 4), "0")}`;
  format.binary = (code) => code.toString(2).padStart(format.bits, "0");
  return format;
}

// A format of at most 16 bits: values of all codes, and rounding by the sorted ones.
function tabled(descriptor) {
  const table = floats(descriptor.values);
  const { values, codes } = ascending(table);
  const middles = descriptor.middles ? floats(descriptor.middles) : halves(values);
  const ends = [-Infinity, Infinity].map((end) => table.indexOf(end));
  const even = (i) => (codes[i] % 2 === 0 ? codes[i] : codes[i + 1]);
  const tie = (i) => descriptor.ties?.[i] ?? even(i);

  function nearest(x) {
    const i = firstNotBelow(middles, x);
    const code = i < middles.length && middles[i] === x ? tie(i) : codes[i];
    return table[code] === 0 && x < 0 ? descriptor.negativeZero : code;
  }

  function encode(x) {
    if (Number.isNaN(x)) return descriptor.nan;
    if (Object.is(x, -0)) return descriptor.negativeZero;
    const { above, below } = descriptor;
    if (above && x >= Number(above.at)) return above.code;
    if (below && x <= Number(below.at)) return below.code;
    return nearest(x);
  }

  // The next value up or down: null at NaN, the same code at the ends.
  function step(code, by) {
    const value = table[code];
    if (!(value === value)) return null;
    if (Math.abs(value) === Infinity) {
      return Math.sign(value) === by ? code : codes[by > 0 ? 0 : codes.length - 1];
    }
    const next = codes[firstNotBelow(values, value) + by];
    const end = ends[by > 0 ? 1 : 0];
    return next ?? (end < 0 ? code : end);
  }

  const decode = (code) => (code < table.length ? table[code] : NaN);
  return { encode, decode, step, count: table.length, lowest: values[0], largest: values.at(-1) };
}

// binary32 by the browser's own; neighbours are neighbours of the bit pattern.
function binary32() {
  const view = new DataView(new ArrayBuffer(4));
  const decode = (code) => {
    view.setUint32(0, code);
    return view.getFloat32(0);
  };
  const encode = (x) => {
    view.setFloat32(0, x);
    return Number.isNaN(x) ? 0x7fc00000 : view.getUint32(0);
  };
  function step(code, by) {
    const value = decode(code);
    if (Number.isNaN(value)) return null;
    const rank = (code >= 2 ** 31 ? 2 ** 31 - code : code) + by;
    if (Math.abs(rank) > 0x7f800000) return code;
    return rank < 0 ? 2 ** 31 - rank : rank;
  }
  const largest = decode(0x7f7fffff);
  return { decode, encode, step, count: 2 ** 32, lowest: -largest, largest };
}

function floats({ dtype, bdata }) {
  const bytes = Uint8Array.from(atob(bdata), (character) => character.charCodeAt(0));
  return Float64Array.from(new (dtype === "f4" ? Float32Array : Float64Array)(bytes.buffer));
}

// The distinct finite values in order, each with its smallest code.
function ascending(table) {
  const order = Array.from(table.keys()).filter((code) => Number.isFinite(table[code]));
  order.sort((a, b) => table[a] - table[b] || a - b);
  const codes = order.filter((code, i) => i === 0 || table[code] !== table[order[i - 1]]);
  return { codes, values: codes.map((code) => table[code]) };
}

function halves(values) {
  return values.slice(1).map((value, i) => 0.5 * values[i] + 0.5 * value);
}

// The first place of an ascending array whose entry is x or more.
function firstNotBelow(sorted, x) {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The fields of a code from the most significant bit down: { kind, letter, name, low, width }.
// Only a posit's depend on the code.
function fieldsOf(format, code) {
  const { layout, bits } = format;
  const widths = {
    float: () => [["sign", layout.sign], ["exponent", layout.exponent],
      ["mantissa", layout.mantissa]],
    exponent: () => [["exponent", bits]],
    integer: () => [["integer", Math.max(0, bits - Math.max(0, layout.fraction))],
      ["fraction", Math.min(bits, Math.max(0, layout.fraction))]],
    logarithmic: () => [["sign", 1], ["integer", layout.whole], ["fraction", layout.fraction]],
    posit: () => positWidths(format, code),
    index: () => [["index", bits]],
  }[layout.kind]();
  let low = bits;
  return widths.filter(([, width]) => width > 0).map(([kind, width]) => {
    low -= width;
    return { kind, letter: LETTERS[kind], name: kind, low, width };
  });
}

const LETTERS = { sign: "S", exponent: "E", mantissa: "M", integer: "I", fraction: "F",
  regime: "R", index: "K" };

// Sign, run of equal bits with the bit that ends it, exponent, fraction: as the raw bits fall.
function positWidths(format, code) {
  const text = format.binary(code).slice(1);
  const run = text.match(/^(0+|1+)/)?.[0].length ?? 0;
  const regime = Math.min(run + 1, text.length);
  const exponent = Math.min(format.layout.es, text.length - regime);
  return [["sign", 1], ["regime", regime], ["exponent", exponent],
    ["fraction", text.length - regime - exponent]];
}

// What kind of number a code is: the words of the badge.
function classOf(format, code) {
  const value = format.decode(code);
  if (Number.isNaN(value)) return format.hasNaN && code < format.count ? "NaN" : "unused";
  if (value === 0) return Object.is(value, -0) ? "negative zero" : "zero";
  if (!Number.isFinite(value)) return "infinity";
  const { kind } = format.layout;
  if (kind === "index") return `entry ${code}`;
  if (kind !== "float") return "number";
  const exponent = format.fields(code).find((field) => field.kind === "exponent");
  return exponent && format.part(code, exponent) > 0 ? "normal" : "subnormal";
}

// The weight of one bit, in words for whoever cannot see where it stands.
function weightOf(format, field, bit) {
  const place = bit - field.low;
  const { layout } = format;
  if (field.kind === "exponent") return `weight 2^${place} in the exponent`;
  if (field.kind === "mantissa") return `weight 2^${place - field.width} of the significand`;
  if (layout.kind === "posit" && field.kind === "fraction") {
    return `weight 2^${place - field.width} of the significand`;
  }
  if (field.kind === "integer" || field.kind === "fraction") {
    const logarithm = layout.kind === "logarithmic";
    const top = logarithm ? format.bits - 2 : format.bits - 1;
    const minus = (logarithm || layout.sign) && bit === top ? "−" : "";
    return `weight ${minus}2^${bit - layout.fraction}${logarithm ? " in the logarithm" : ""}`;
  }
  return { sign: "negative when set", regime: "run of equal bits",
    index: `weight 2^${place} in the index` }[field.kind];
}
