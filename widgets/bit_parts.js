// What the editor is made of: a row of bits that are clicked, painted and typed, and the formula of
// a code whose numbers are dragged.

function make(tag, name, parent, text = "") {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text) made.textContent = text;
  parent?.append(made);
  return made;
}

// Strings, { raised: tokens } for what is raised, and nodes, one after the other.
function place(parent, tokens) {
  for (const token of tokens) {
    if (token.raised) place(make("sup", "", parent), [].concat(token.raised));
    else parent.append(token);
  }
}

// One button a bit, most significant first. `changed` gets the code that a bit was set to, `step`
// +1 or -1 for the next value up or down.
function bitRow(parent, name, changed, step) {
  const row = make("div", "bits-row", parent);
  row.setAttribute("role", "group");
  let format = null, code = 0, cells = [], labels = [], paint = null;

  const bitAt = (bit) => Math.floor(code / 2 ** bit) % 2;
  const cellOf = (bit) => cells[format.bits - 1 - bit];

  function set(bit, value) {
    if (bitAt(bit) !== value) changed(code + (value ? 1 : -1) * 2 ** bit);
  }

  function build() {
    row.replaceChildren();
    row.style.setProperty("--bits", format.bits);
    row.setAttribute("aria-label", `${name}, ${format.name}`);
    labels = [];
    cells = Array.from({ length: format.bits }, (_, i) => {
      const cell = make("button", "bits-cell", row);
      cell.type = "button";
      cell.dataset.bit = format.bits - 1 - i;
      cell.tabIndex = i === 0 ? 0 : -1;
      make("small", "", cell).setAttribute("aria-hidden", "true");
      make("b", "", cell);
      return cell;
    });
  }

  function group(field) {
    const label = make("span", `bits-label bits-${field.kind}`, row,
      field.width > 2 ? `${field.letter} ${field.name}` : field.letter);
    label.title = `${field.name}, ${field.width} bit${field.width > 1 ? "s" : ""}`;
    label.style.gridColumn = `${format.bits - field.low - field.width + 1} / span ${field.width}`;
    labels.push(label);
  }

  function show(field) {
    for (let bit = field.low; bit < field.low + field.width; bit += 1) {
      const cell = cellOf(bit), value = bitAt(bit);
      const first = bit === field.low + field.width - 1;
      cell.className = `bits-cell bits-${field.kind}${first ? " bits-first" : ""}`;
      cell.setAttribute("aria-pressed", String(value === 1));
      cell.setAttribute("aria-label",
        `${field.name} bit ${bit - field.low}, ${weightOf(format, field, bit)}, ${value}`);
      cell.title = `${field.name} bit ${bit - field.low}: ${weightOf(format, field, bit)}`;
      cell.firstChild.textContent = field.letter;
      cell.lastChild.textContent = value;
    }
  }

  function update(nextFormat, nextCode) {
    code = nextCode;
    if (format !== nextFormat) {
      format = nextFormat;
      build();
    }
    labels.forEach((label) => label.remove());
    labels = [];
    format.fields(code).forEach((field) => {
      group(field);
      show(field);
    });
  }

  function focus(cell) {
    if (!cell) return;
    cells.forEach((other) => { other.tabIndex = other === cell ? 0 : -1; });
    cell.focus();
  }

  const under = (event) =>
    row.getRootNode().elementFromPoint(event.clientX, event.clientY)?.closest(".bits-cell");

  row.addEventListener("pointerdown", (event) => {
    const cell = event.target.closest(".bits-cell");
    if (!cell || event.button !== 0) return;
    event.preventDefault();
    focus(cell);
    row.setPointerCapture(event.pointerId);
    paint = 1 - bitAt(Number(cell.dataset.bit));
    set(Number(cell.dataset.bit), paint);
  });
  row.addEventListener("pointermove", (event) => {
    const cell = paint === null ? null : under(event);
    if (cell && row.contains(cell)) set(Number(cell.dataset.bit), paint);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    row.addEventListener(end, () => { paint = null; });
  }
  row.addEventListener("click", (event) => {
    const cell = event.target.closest(".bits-cell");
    if (!cell || event.detail !== 0) return; // a pointer's click was taken when it went down
    set(Number(cell.dataset.bit), 1 - bitAt(Number(cell.dataset.bit)));
  });
  row.addEventListener("keydown", (event) => {
    const cell = event.target.closest(".bits-cell");
    if (!cell || event.ctrlKey || event.metaKey || event.altKey) return;
    const i = cells.indexOf(cell);
    const act = {
      ArrowLeft: () => focus(cells[i - 1]), ArrowRight: () => focus(cells[i + 1]),
      Home: () => focus(cells[0]), End: () => focus(cells.at(-1)),
      ArrowUp: () => step(1), ArrowDown: () => step(-1),
      0: () => set(Number(cell.dataset.bit), 0), 1: () => set(Number(cell.dataset.bit), 1),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  return { update };
}

// The value of a code as a formula: tokens for `place`, numbers that can be dragged among them as
// { name, value, low, high, to }, where `to` gives the code of another number.
function formulaOf(format, code) {
  const parts = {};
  for (const field of format.fields(code)) {
    parts[field.kind] = {
      name: field.name, value: format.part(code, field), low: 0, high: 2 ** field.width - 1,
      width: field.width, to: (part) => format.withPart(code, field, part),
    };
  }
  return { float: floatFormula, exponent: floatFormula, integer: integerFormula,
    posit: positFormula, logarithmic: logarithmFormula,
    index: () => ["table[", parts.index, "]"] }[format.layout.kind](format, code, parts);
}

const minus = (bias) => (bias < 0 ? ` + ${-bias}` : ` − ${bias}`);
const signed = (sign) => (sign ? ["(−1)", { raised: [sign] }, " × "] : []);

function floatFormula(format, code, { sign, exponent, mantissa }) {
  const { bias, subnormals } = format.layout;
  if (!Number.isFinite(format.decode(code))) {
    const named = { S: sign, E: exponent, M: mantissa };
    return Object.entries(named).flatMap(([letter, part]) => (part ? [`${letter} `, part, "   "] : []));
  }
  const small = !exponent || (exponent.value === 0 && format.layout.kind === "float");
  const power = !exponent ? [`1${minus(bias)}`]
    : small ? ["max(", exponent, `, 1)${minus(bias)}`] : [exponent, minus(bias)];
  const one = small && subnormals !== undefined ? "0" : "1";
  const flushed = small && subnormals === false ? ["0 × "] : [];
  const significand = mantissa
    ? [` × (${one} + `, mantissa, " / 2", { raised: String(mantissa.width) }, ")"]
    : one === "0" ? [" × 0"] : [];
  return [...flushed, ...signed(sign), "2", { raised: power }, ...significand];
}

function integerFormula(format, code) {
  const { sign, fraction } = format.layout;
  const span = 2 ** format.bits, half = span / 2;
  const low = sign ? -half : 0, high = sign ? half - 1 : span - 1;
  const value = sign && code >= half ? code - span : code;
  const whole = { name: "integer", value, low, high, to: (n) => (n + span) % span };
  const scaled = fraction ? [" × 2", { raised: String(-fraction).replace("-", "−") }] : [];
  return [whole, ...scaled, ...weights(format, code)];
}

// The weights of the bits that are set, added up.
function weights(format, code) {
  const { sign, fraction } = format.layout;
  const set = Array.from(format.binary(code), Number).flatMap((bit, i) =>
    (bit ? [format.bits - 1 - i] : []));
  if (!set.length) return [];
  return set.flatMap((bit, i) => {
    const first = sign && bit === format.bits - 1 ? " = −2" : i === 0 ? " = 2" : " + 2";
    return [first, { raised: String(bit - fraction).replace("-", "−") }];
  });
}

function positFormula(format, code, { sign, exponent, fraction }) {
  const value = format.decode(code);
  if (value === 0 || Number.isNaN(value)) return [value === 0 ? "all bits 0" : "sign bit alone: NaR"];
  const { es } = format.layout;
  const missing = 2 ** (es - (exponent?.width ?? 0));
  const scaled = exponent && { ...exponent, value: exponent.value * missing,
    high: exponent.high * missing, unit: missing, to: (n) => exponent.to(Math.floor(n / missing)) };
  const significand = fraction ? [" + ", fraction, " / 2", { raised: String(fraction.width) }] : [];
  return ["(1 − 3 · ", sign, ...significand, ") × 2", { raised: [`(1 − 2 · ${sign.value}) · (${2 ** es} · `,
    regimeOf(format, code), ...(scaled ? [" + ", scaled] : []), ` + ${sign.value})`] }];
}

// The regime as a number; another one moves exponent and fraction along and cuts what falls off.
function regimeOf(format, code) {
  const text = format.binary(code), body = text.slice(1);
  const run = body.match(/^(0+|1+)/)[0].length;
  const to = (n) => {
    const head = n >= 0 ? "1".repeat(n + 1) + "0" : `${"0".repeat(-n)}1`;
    const moved = (text[0] + head + body.slice(run + 1)).padEnd(format.bits, "0");
    return parseInt(moved.slice(0, format.bits), 2);
  };
  return { name: "regime", value: body[0] === "1" ? run - 1 : -run, low: 2 - format.bits,
    high: format.bits - 2, to };
}

function logarithmFormula(format, code, { sign }) {
  if (format.decode(code) === 0) return ["smallest logarithm: 0"];
  const span = 2 ** (format.bits - 1), half = span / 2;
  const raw = code % span;
  const logarithm = { name: "logarithm", value: raw >= half ? raw - span : raw, low: -half,
    high: half - 1, to: (n) => code - raw + ((n + span) % span) };
  return [...signed(sign), "2", { raised: [logarithm, " / 2", { raised: String(format.layout.fraction) }] }];
}

// The formula on the page: its numbers are spin buttons, moved by arrow keys or dragged sideways.
function formulaLine(parent, changed) {
  const line = make("div", "bits-formula", parent);
  let numbers = {}, drag = null;

  function node(number) {
    const spin = make("span", "bits-number", null, String(number.value).replace("-", "−"));
    const words = { role: "spinbutton", tabindex: 0, "aria-label": `${number.name} field`,
      "aria-valuenow": number.value, "aria-valuemin": number.low, "aria-valuemax": number.high };
    Object.entries(words).forEach(([key, value]) => spin.setAttribute(key, value));
    spin.dataset.name = number.name;
    spin.title = `${number.name}: drag sideways, or use the arrow keys`;
    numbers[number.name] = number;
    return spin;
  }

  const drawn = (tokens) => tokens.map((token) => {
    if (token.raised) return { raised: drawn([].concat(token.raised)) };
    return token.name ? node(token) : token;
  });

  function update(format, code) {
    const held = line.getRootNode().activeElement?.closest?.(".bits-formula") === line
      ? line.getRootNode().activeElement.dataset.name : null;
    numbers = {};
    line.replaceChildren();
    place(line, drawn(formulaOf(format, code)));
    make("span", "bits-equals", line, ` = ${short(format.decode(code))}`);
    if (held) line.querySelector(`[data-name="${held}"]`)?.focus();
  }

  function move(number, to) {
    const unit = number.unit ?? 1;
    const whole = Math.round(Math.min(number.high, Math.max(number.low, to)) / unit) * unit;
    if (number && whole !== numbers[number.name]?.value) changed(number.to(whole));
  }

  line.addEventListener("keydown", (event) => {
    const number = numbers[event.target.dataset?.name];
    const unit = number?.unit ?? 1;
    const by = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 16,
      PageDown: -16 }[event.key];
    const end = { Home: number?.low, End: number?.high }[event.key];
    if (!number || (by === undefined && end === undefined)) return;
    event.preventDefault();
    move(number, end ?? number.value + by * unit);
  });
  line.addEventListener("pointerdown", (event) => {
    const spin = event.target.closest(".bits-number");
    if (!spin || event.button !== 0) return;
    event.preventDefault();
    spin.focus();
    line.setPointerCapture(event.pointerId);
    drag = { from: event.clientX, number: numbers[spin.dataset.name] };
  });
  line.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const { low, high, value, unit = 1 } = drag.number;
    const stride = Math.max(unit, (high - low + 1) / 256);
    move(drag.number, value + Math.round((event.clientX - drag.from) / 6) * stride);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    line.addEventListener(end, () => { drag = null; });
  }
  return { update };
}
