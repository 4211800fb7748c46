// Numbers and texts as Python writes them, so that links, names and refusals are the same words.

// What you passed → why it cannot work → what to write instead.
class Refusal extends Error {
  constructor(passed, why, instead) {
    super(`${passed} → ${why} → ${instead}`);
  }
}

// A number as Python's repr has it.
function pythonNumber(x) {
  if (!Number.isFinite(x)) return general(x);
  if (Object.is(x, -0)) return "-0.0";
  const [digits, power] = x.toExponential().split("e");
  if (x !== 0 && (Number(power) < -4 || Number(power) >= 16)) return digits + exponent(power);
  return Number.isInteger(x) ? `${x}.0` : String(x);
}

// A number as Python's format has it under ".6g", or another count of digits.
function general(x, digits = 6) {
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : "-inf";
  if (x === 0) return Object.is(x, -0) ? "-0" : "0";
  const [mantissa, power] = x.toExponential(digits - 1).split("e");
  const places = digits - 1 - Number(power);
  if (Number(power) < -4 || places < 0) return trimmed(mantissa) + exponent(power);
  return trimmed(x.toFixed(places));
}

function trimmed(text) {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

function exponent(power) {
  return `e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

// The shortest text that reads back as the same number, six digits being preferred.
function shortest(x) {
  return Number(general(x)) === x ? general(x) : pythonNumber(x);
}

// A value as a person reads it: four digits and a true minus sign.
function readable(x, digits = 4) {
  if (Number.isNaN(x)) return "NaN";
  const size = Math.abs(x) === Infinity ? "∞" : general(Math.abs(x), digits);
  return (x < 0 ? "−" : "") + size;
}

// Any plain value as Python's repr has it; numbers of a list are floats, others whole.
function pythonText(value) {
  if (Array.isArray(value)) {
    const parts = value.map((part) =>
      (typeof part === "number" ? pythonNumber(part) : pythonText(part)));
    return `[${parts.join(", ")}]`;
  }
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "string") return String(value);
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
  return quote + value.replace(/\\/g, "\\\\").replaceAll(quote, `\\${quote}`) + quote;
}

// A number from text, as Python's float reads it; undefined where it is none.
function pythonFloat(text) {
  const plain = text.trim().toLowerCase();
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/.test(plain)) return Number(plain);
  const word = plain.replace(/^[+-]/, "");
  if (word === "nan") return NaN;
  if (word !== "inf" && word !== "infinity") return undefined;
  return plain.startsWith("-") ? -Infinity : Infinity;
}

const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";

// Two to that power; near one, the number itself.
function powerText(power) {
  if (power >= 0 && power <= 4) return String(2 ** power);
  const digits = [...String(Math.abs(power))].map((digit) => RAISED[digit]).join("");
  return `2${power < 0 ? "⁻" : ""}${digits}`;
}

function thousands(count) {
  return String(count).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

function roundedTo(x, places) {
  return Number(x.toFixed(places));
}
