// Numbers as exact text, entries as codes, and which bits of a binary32 a format cannot keep.

// Sign, whole significand and power of two of a finite double: x = sign * whole * 2^power, odd whole.
function dissect(x) {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, Math.abs(x));
  const raw = view.getBigUint64(0);
  const field = Number(raw >> 52n);
  let whole = (raw & (2n ** 52n - 1n)) + (field ? 2n ** 52n : 0n);
  let power = Math.max(field, 1) - 1075;
  while (whole && !(whole & 1n)) {
    whole >>= 1n;
    power += 1;
  }
  return { sign: x < 0 || Object.is(x, -0) ? "−" : "", whole, power: whole ? power : 0 };
}

const SYMBOLS = { NaN: "NaN", Infinity: "∞", "-Infinity": "−∞" };

// The shortest decimal that reads back as the same double, with a true minus sign.
function short(x, digits) {
  if (!Number.isFinite(x)) return SYMBOLS[x];
  const text = Object.is(x, -0) ? "-0" : digits ? String(Number(x.toPrecision(digits))) : String(x);
  return text.replace(/-/g, "−").replace("e+", "e");
}

// All decimal digits: a double is a whole number over a power of two, so they end.
function exactDecimal(x) {
  if (!Number.isFinite(x)) return SYMBOLS[x];
  const { sign, whole, power } = dissect(x);
  if (power >= 0) return sign + String(whole << BigInt(power));
  const digits = String(whole * 5n ** BigInt(-power)).padStart(-power + 1, "0");
  return `${sign}${digits.slice(0, power)}.${digits.slice(power)}`;
}

// As C and Python write it: 0x1.921fap+1.
function hexFloat(x) {
  if (!Number.isFinite(x)) return SYMBOLS[x];
  const { sign, whole, power } = dissect(x);
  if (!whole) return `${sign}0x0p+0`;
  const bits = whole.toString(2);
  const tail = bits.slice(1).padEnd(Math.ceil((bits.length - 1) / 4) * 4, "0");
  const digits = (tail.match(/.{4}/g) ?? []).map((four) => parseInt(four, 2).toString(16)).join("");
  const scale = power + bits.length - 1;
  return `${sign}0x1${digits && `.${digits}`}p${scale < 0 ? "−" : "+"}${Math.abs(scale)}`;
}

// p/q in lowest terms where it fits a line, and p · 2^k always.
function rational(x) {
  if (!Number.isFinite(x)) return [SYMBOLS[x]];
  const { sign, whole, power } = dissect(x);
  const quotient = power < 0 ? `${sign}${whole}/${2n ** BigInt(-power)}`
    : `${sign}${whole << BigInt(power)}/1`;
  const product = [`${sign}${whole} · 2`, { raised: String(power).replace("-", "−") }];
  return quotient.length <= 40 ? [`${quotient} = `, ...product] : product;
}

// An entry as a code, or why it cannot be one: what was passed → why → what to write instead.
function readEntry(format, kind, text) {
  const passed = text.trim().replace(/−/g, "-").replace("∞", "inf");
  const refused = (why, instead) => ({ problem: `${passed || "nothing"} → ${why} → ${instead}` });
  return kind === "decimal" ? readDecimal(format, passed, refused)
    : readCode(format, kind, passed, refused);
}

function readDecimal(format, passed, refused) {
  const special = { nan: NaN, inf: Infinity, infinity: Infinity }[
    passed.toLowerCase().replace(/^[+-]/, "")];
  const sign = passed.startsWith("-") ? -1 : 1;
  if (special === undefined && !/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(passed)) {
    return refused("it is not a decimal number", "write 3.14159, 1e-3, inf or nan");
  }
  const value = special === undefined ? Number(passed) : sign * special;
  if (special === undefined && !Number.isFinite(value)) {
    return refused("no float64 is as large", `write ${passed.startsWith("-") ? "-" : ""}inf`);
  }
  const code = format.encode(value);
  if (code === null) return refused(`${format.name} has no code for NaN`, "write a number");
  return { code, note: noteOf(format, passed, value, code) };
}

// What became of a number that is not one of the format's.
function noteOf(format, passed, value, code) {
  const got = format.decode(code);
  if (Object.is(got, value) || got === value) return "";
  if (Number.isNaN(got)) return Number.isNaN(value) ? "" : `${passed} → NaN in ${format.name}`;
  const beyond = value > format.largest || value < format.lowest;
  const why = !Number.isFinite(got) ? "overflows" : beyond ? "lies beyond the last value"
    : got === 0 ? "rounds to zero" : "is rounded";
  return `${passed} ${why}: ${short(got)}`;
}

function readCode(format, kind, passed, refused) {
  const { base, digits, prefix } = { hex: { base: 16, digits: /^[0-9a-f]+$/i, prefix: "0x" },
    binary: { base: 2, digits: /^[01]+$/, prefix: "0b" } }[kind];
  const show = kind === "hex" ? format.hex : (code) => `0b${format.binary(code)}`;
  const bare = passed.replace(/[_\s]/g, "").replace(new RegExp(`^${prefix}`, "i"), "");
  if (!digits.test(bare)) {
    const what = kind === "hex" ? "hexadecimal digits" : "the digits 0 and 1";
    return refused(`a code is written in ${what}`, `write ${show(Math.floor(format.last / 2))}`);
  }
  const code = parseInt(bare, base);
  if (code > format.last) {
    return refused(`${format.name} has ${format.bits} bits, codes ${show(0)} to ${show(format.last)}`,
      `write ${show(format.last)}`);
  }
  return { code, note: "" };
}

// Which bits of the binary32 nearest to x a format cannot keep: `lost` counts them from the right,
// the hidden bit being the 24th; null where the format's codes are no cut of that pattern.
function cutOf(format, x) {
  const single = Math.fround(x);
  if (!Number.isFinite(single) || single === 0) return null;
  const pattern = binary32().encode(single);
  const field = Math.floor(pattern / 2 ** 23) % 256;
  const exponent = Math.max(field, 1) - 127;
  const lowest = lowestKept(format, Math.abs(single), exponent);
  if (lowest === null) return null;
  const significand = (pattern % 2 ** 23) + (field ? 2 ** 23 : 0);
  const lost = Math.max(0, lowest - (exponent - 23));
  const bit = (i) => (i < 0 || i > 23 ? 0 : Math.floor(significand / 2 ** i) % 2);
  const rest = lost < 3 ? 0 : significand % 2 ** Math.min(lost - 2, 24);
  return { pattern, lost, hidden: field > 0, guard: lost ? bit(lost - 1) : 0,
    round: bit(lost - 2), sticky: rest ? 1 : 0 };
}

// The power of two of the last place that a format has for a magnitude.
function lowestKept(format, magnitude, exponent) {
  const { layout } = format;
  if (layout.kind === "float") {
    const least = 1 - layout.bias;
    if (!layout.subnormals && exponent < least) return null;
    return Math.max(exponent, least) - layout.mantissa;
  }
  if (layout.kind === "exponent") return exponent < -layout.bias ? null : exponent;
  if (layout.kind === "integer") return -layout.fraction;
  if (layout.kind !== "posit" || magnitude > format.largest) return null;
  const near = format.encode(magnitude);
  const code = format.decode(near) > magnitude ? format.step(near, -1) : near;
  const fields = Object.fromEntries(format.fields(code).map((field) => [field.kind, field.width]));
  if ((fields.exponent ?? 0) < layout.es || format.decode(code) === 0) return null;
  return exponent - (fields.fraction ?? 0);
}

// What became of x, from the numbers themselves.
function fateOf(format, x, code) {
  const got = code === null ? NaN : format.decode(code);
  if (Number.isNaN(x)) return code === null ? "no code for NaN" : "NaN";
  if (Number.isNaN(got)) return "becomes NaN";
  if (got === x) return "exact";
  if (!Number.isFinite(got)) return "overflows to infinity";
  if (x > format.largest || x < format.lowest) return "clipped at the last value";
  if (got === 0) return "becomes zero";
  return Math.abs(got) > Math.abs(x) ? "away from zero" : "toward zero";
}
