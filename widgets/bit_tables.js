// The same value in several formats: what each makes of it, and which of its bits are lost.

const COLUMNS = ["Format", "Value", "Error", "Code", "Bits", "Bits of f32: kept, ~lost~", "G R S",
  "What happens"];

function compareTable(parent) {
  const box = make("div", "bits-scroll", parent);
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", "The same value in several formats");
  const table = make("table", "bits-table", box);
  const head = make("tr", "", make("thead", "", table));
  for (const name of COLUMNS) {
    const cell = make("th", "", head);
    const [before, struck, after = ""] = name.split("~");
    cell.append(before);
    if (struck) make("s", "", cell, struck);
    cell.append(after);
    cell.scope = "col";
  }
  head.cells[6].title = "guard: the first lost bit; round: the next; sticky: whether any after is 1";
  const body = make("tbody", "", table);
  const key = make("p", "bits-key", parent);
  make("span", "bits-guard", key);
  key.append(" guard, the first lost bit; ");
  make("span", "bits-round", key);
  key.append(" round, the second; sticky: whether any bit after them is 1. Above a half rounds up, ",
    "a half goes to even.");

  function update(formats, value) {
    body.replaceChildren();
    formats.forEach((format) => body.append(compareRow(format, value)));
  }
  return { update };
}

function compareRow(format, x) {
  const row = make("tr", "");
  const code = format.encode(x);
  const value = code === null ? NaN : format.decode(code);
  make("th", "", row, format.name).scope = "row";
  make("td", "bits-digits", row, code === null ? "—" : short(value, 9));
  make("td", "bits-digits", row, errorText(value, x));
  make("td", "bits-digits", row, code === null ? "—" : format.hex(code));
  const bits = make("td", "bits-digits", row);
  if (code !== null) miniBits(bits, format, code);
  const cut = cutOf(format, x);
  pattern(make("td", "bits-digits", row), cut, x);
  const grs = cut ? `${cut.guard} ${cut.round} ${cut.sticky}` : "—";
  make("td", "bits-digits", row, grs);
  make("td", "", row, fateText(fateOf(format, x, code), cut));
  return row;
}

function errorText(value, x) {
  const error = value - x;
  if (value === x || (Number.isNaN(value) && Number.isNaN(x))) return "0";
  if (!Number.isFinite(error)) return "—";
  const share = x ? ` (${short((100 * error) / Math.abs(x), 3)} %)` : "";
  return `${error > 0 ? "+" : ""}${short(error, 4)}${share}`;
}

const FATES = { exact: "= exact", "away from zero": "↑ away from zero",
  "toward zero": "↓ toward zero", "becomes zero": "→ 0 becomes zero",
  "clipped at the last value": "⊣ clipped at the last value",
  "overflows to infinity": "→ ∞ overflows", "becomes NaN": "→ NaN" };

function fateText(fate, cut) {
  const tie = cut?.guard && !cut.round && !cut.sticky && /from zero|toward/.test(fate);
  return (FATES[fate] ?? fate) + (tie ? " (tie: to even)" : "");
}

// The bits of a code in the groups of its fields, small.
function miniBits(parent, format, code) {
  const text = format.binary(code);
  for (const field of format.fields(code)) {
    const from = format.bits - field.low - field.width;
    const bits = make("span", `bits-mini bits-${field.kind}`, parent,
      text.slice(from, from + field.width));
    bits.title = `${field.letter}: ${field.name}`;
  }
}

// The binary32 of a value with its hidden bit, lost bits struck through, guard and round boxed.
function pattern(parent, cut, x) {
  if (!cut) {
    parent.append(x === 0 || !Number.isFinite(x) ? "—" : "no cut of these bits");
    return;
  }
  const text = cut.pattern.toString(2).padStart(32, "0");
  make("span", "bits-mini bits-sign", parent, text[0]).title = "S: sign";
  make("span", "bits-mini bits-exponent", parent, text.slice(1, 9)).title = "E: exponent";
  const significand = (cut.hidden ? "1" : "0") + text.slice(9);
  const kept = Math.max(0, 24 - cut.lost);
  const group = make("span", "bits-mini bits-mantissa", parent);
  const words = `M: significand with its hidden bit; ${24 - kept} of 24 lost`;
  group.title = words;
  group.setAttribute("aria-label", `${significand}, ${words}`);
  group.setAttribute("role", "img");
  for (let i = 0; i < 24; i += 1) {
    const place = i - (24 - cut.lost);
    const mark = place === 0 ? " bits-guard" : place === 1 ? " bits-round" : "";
    const bit = make(i < kept ? "span" : "s", i < kept ? "" : `bits-lost${mark}`, group);
    bit.textContent = significand[i];
    if (i === 0) {
      bit.classList.add("bits-hidden");
      group.append(".");
    }
  }
}

// A sentence on what to notice among the compared formats.
function noticed(formats, x) {
  if (!Number.isFinite(x)) {
    const without = formats.filter((format) => !Object.is(decoded(format, x), x));
    const names = without.map((format) => format.name).join(", ");
    return without.length ? `${short(x)} does not exist in ${names}.`
      : `Every compared format has ${short(x)}.`;
  }
  const rows = formats.map((format) => ({ format, value: decoded(format, x) }));
  const wrong = rows.filter((row) => row.value !== x);
  if (!wrong.length) return `Every compared format holds ${short(x, 9)} exactly.`;
  const distance = (row) => (Number.isFinite(row.value) ? Math.abs(row.value - x) : Infinity);
  return sentence(wrong.reduce((a, b) => (distance(b) > distance(a) ? b : a)), x);
}

function decoded(format, x) {
  const code = format.encode(x);
  return code === null ? undefined : format.decode(code);
}

function sentence({ format, value }, x) {
  const subject = short(x, 9);
  if (Number.isNaN(value)) return `${format.name} has no value for ${subject}: it becomes NaN.`;
  const beyond = x > format.largest || x < format.lowest;
  const kept = 24 - Math.min(24, cutOf(format, x)?.lost ?? 0);
  const why = beyond ? "ends before that" : kept < 24 ? `keeps ${kept} of its 24 significant bits`
    : "has no such value";
  const error = errorText(value, x).replace(/^\+/, "");
  return `${format.name} is furthest from ${subject}: it ${why} and holds ${short(value, 9)}`
    + `${error === "—" ? "" : `, an error of ${error}`}.`;
}
