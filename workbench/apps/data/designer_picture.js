// The numbers of a state: each scheme's grid where its scale puts it, its error, bits and gates.

const tensorCells = cellsOf(SUPPLIES.tensor.cells);
const histogram = histogramOf(SUPPLIES.tensor, tensorCells);
const under = countsUnder(histogram);
const decoded = new Map(), measuredBefore = new Map();

function cellsFor(held) {
  if (!held?.cells) return tensorCells;
  if (!decoded.has(held.key)) decoded.set(held.key, cellsOf(held.cells));
  return decoded.get(held.key);
}

// One scheme on the tensor; kept, so that a change redoes only the schemes it touches.
function measured(scheme) {
  if (!measuredBefore.has(scheme.name)) {
    if (measuredBefore.size > 256) measuredBefore.clear();
    measuredBefore.set(scheme.name, measure(scheme));
  }
  return measuredBefore.get(scheme.name);
}

function measure(scheme) {
  const { format, held } = scheme, { tensor } = SUPPLIES;
  const found = scaleOf(held, format);
  const drawn = found?.drawn ?? tensor.largest / format.reach;
  const one = { ...scheme, drawn, values: Array.from(format.values, (value) => value * drawn),
    bits: format.bits + (held?.extra ?? 0), gates: format.cost(), counts: null, sqnr: NaN,
    bound: null, mark: `${held?.lost ? "values become NaN" : "scales are clamped"}: not known here` };
  if (!found) return one;
  const cells = cellsFor(held);
  const sums = errorOf(cells, format, found.scale);
  const quality = qualityOf(tensor, sums, found.wobble, held?.loose ?? 0);
  const counts = occupancyOf(cells, format, found.scale, tensor.n);
  return { ...one, ...quality, counts, mark: markOf(quality.bound) };
}

// The mark beside a figure: how far off it is at most.
function markOf(bound) {
  if (bound === null) return "sketch ± ? dB";
  return `sketch ± ${bound < 0.001 ? "<0.001" : general(bound, 2)} dB`;
}

function unusedOf({ counts }) {
  return counts && counts.reduce((sum, count) => sum + (count < 0.5 ? 1 : 0), 0);
}

// What a picture calls a scheme: its text, or a short word where that is long.
function labelOf({ name, format, scaleText }, own) {
  const long = name.length > SUPPLIES.most.label && format.family === "codebook";
  const text = long ? `codebook of ${format.values.length}${scaleText}` : name;
  return own ? `yours: ${text}` : text;
}

// All that the pictures and figures of a state show, the design first.
function pictureOf(state) {
  const schemes = [designed(state), ...state.schemes.map(schemeOf)];
  const orders = {};
  return schemes.map((scheme, i) => {
    const order = orders[scheme.family] = (orders[scheme.family] ?? -1) + 1;
    const look = SUPPLIES.looks[state.theme].drawn[scheme.family][order];
    return { ...measured(scheme), label: labelOf(scheme, !i), look };
  });
}

// The figures of each scheme, one row each, as FormatDesigner.rows gives them.
function rowsOf(picture) {
  return picture.map((one) => ({
    scheme: one.name,
    "SQNR (dB)": Number.isNaN(one.sqnr) ? null : roundedTo(one.sqnr, 3),
    provenance: one.mark,
    "bits a value": roundedTo(one.bits, 4),
    gates: one.gates,
    "gates from": SUPPLIES.gates.origin,
    values: one.values.length,
    unused: unusedOf(one),
  }));
}

// The name, the value and the origin of each figure of the design.
function figuresOf([row]) {
  const known = row["SQNR (dB)"];
  const sqnr = known === null ? "not known" : Number.isFinite(known) ? `${known.toFixed(2)} dB` : "∞";
  return [["SQNR", sqnr, row.provenance],
    ["bits a value", general(row["bits a value"], 4), "scales included"],
    ["gates a multiply-add", row.gates === null ? "not known" : thousands(row.gates),
      row["gates from"]],
    ["unused values", `${row.unused ?? "?"} of ${row.values}`, "no datum rounds to them"]];
}

// A codebook made for the tensor at the bits and granularity of a state; what cannot be is refused.
function suggested(name, state) {
  const { format } = designed(state), { bits: most } = SUPPLIES.most;
  if (format.bits > most) {
    throw new Refusal(`${format.bits} bits`, `codebooks are made with 1 to ${most} bits`,
      `choose a design of ${most} bits or fewer`);
  }
  const made = SUPPLIES.made[heldOf(state.granularity || "tensor").key][name];
  const found = made[format.bits];
  if (!found) {
    throw new Refusal(`${format.bits} bits`,
      `this file holds codebooks of ${Object.keys(made).join(", ")} bits`, "choose one of them");
  }
  if (found.refusal) throw new Refusal(...found.refusal.split(" → "));
  return { ...state, kind: "codebook", values: found.values };
}

// A value of the tensor in the units of the design's format, rounded to a short number.
function unitOf([{ drawn, format }], value) {
  const { reach } = format, clip = (x) => Math.min(reach, Math.max(-reach, x));
  const unit = clip(value / drawn), after = (x) => (x ? exponentOf(Math.abs(x)) + 1 : 0);
  const step = 2 ** (Math.min(after(reach), after(unit) + 2) - 7);
  return clip(Math.round(unit / step) * step) + 0;
}

// The state after a click at a value: one more, one moved, or one less.
function clicked(state, picture, value, doing) {
  const unit = unitOf(picture, value), far = (x) => Math.abs(x - unit);
  const near = state.values.reduce((best, x, i) => (far(x) < far(state.values[best]) ? i : best), 0);
  const left = doing === "add" ? state.values : state.values.filter((_, i) => i !== near);
  return checked({ ...state, values: doing === "remove" ? left : [...left, unit] });
}
