// Quality over size of a designer as a plotly figure, drawn as workbench.views.metrics_table draws
// it; on a narrow page the names stand in a legend instead of beside their marks.

function qualityView(picture, state, narrow) {
  const look = SUPPLIES.looks[state.theme];
  const known = picture.filter(({ sqnr }) => Number.isFinite(sqnr));
  return { title: "Quality and size", provenance: widestMark(picture),
    caption: qualityCaption(picture), layout: qualityLayout(known, look, narrow),
    data: picture.map((one) => ({ ...mark(one), showlegend: narrow })) };
}

// One mark for several figures: the widest bound.
function widestMark(picture) {
  const bounds = picture.map(({ bound }) => bound);
  return markOf(bounds.includes(null) ? null : Math.max(...bounds));
}

function mark({ bits, sqnr, bound, label, look, mark: origin }) {
  return { type: "scatter", x: [bits], y: [Number.isFinite(sqnr) ? sqnr : null], mode: "markers",
    name: label, meta: { scheme: label },
    marker: { symbol: look.marker, size: 11, color: look.colour,
      line: { width: 2, color: look.colour } },
    error_y: { array: [bound ?? 0], color: look.colour, visible: Boolean(bound) },
    hovertemplate: `<b>${label}</b><br>%{y:.2f} dB (${origin})<br>%{x:.3g} bits a value`
      + "<extra></extra>" };
}

function qualityLayout(known, look, narrow) {
  const most = known.length ? Math.max(...known.map(({ bits }) => bits)) : 8;
  const [low, high] = span(known.map(({ sqnr }) => sqnr));
  const hint = { xref: "paper", yref: "paper", x: 1, y: 0, xanchor: "right", yanchor: "bottom",
    text: "up and to the left is better", showarrow: false,
    font: { size: 11, color: look.quiet } };
  const names = narrow ? [] : known.map((one) => nameBeside(one, known, look, high - low));
  return { ...look.base, height: narrow ? 290 : 240, margin: { l: 56, r: 16, t: 12, b: 44 },
    xaxis: { title: { text: "bits a value, scales included" }, range: [0, most * 1.32] },
    yaxis: { title: { text: "SQNR (dB)" }, range: [low, high] },
    annotations: [...names, hint] };
}

// The range of the SQNR axis: all marks, with room above and below.
function span(values) {
  if (!values.length) return [0, 50];
  const low = Math.min(0, ...values);
  return [low, Math.max(Math.max(...values) * 1.15, low + 6)];
}

// The name beside its mark, moved up or down where a neighbour's is in the way.
function nameBeside(one, known, look, height) {
  const near = known.filter((other) => Math.abs(other.sqnr - one.sqnr) < 0.08 * height
    && Math.abs(other.bits - one.bits) < 2.5);
  near.sort((a, b) => b.sqnr - a.sqnr || (a.label < b.label ? -1 : 1));
  const shift = 14 * (near.indexOf(one) - (near.length - 1) / 2);
  return { x: one.bits, y: one.sqnr, text: one.label, showarrow: false, xanchor: "left",
    xshift: 10, yshift: -shift, font: { size: 11, color: look.text } };
}

// The best scheme, and the smallest.
function qualityCaption(picture) {
  const known = picture.filter(({ sqnr }) => !Number.isNaN(sqnr));
  if (!known.length) return "No figure is known here.";
  const decibels = ({ sqnr }) => (Number.isFinite(sqnr) ? sqnr.toFixed(1) : readable(sqnr));
  const says = (one) => `${decibels(one)} dB at ${general(one.bits, 3)}`;
  const best = known.reduce((top, one) => (one.sqnr > top.sqnr ? one : top));
  const cheap = known.reduce((least, one) => (one.bits < least.bits
    || (one.bits === least.bits && one.sqnr > least.sqnr) ? one : least));
  const text = `${best.label} has ${says(best)} bits a value`;
  return cheap === best ? `${text}.` : `${text}; the smallest, ${cheap.label}, ${says(cheap)}.`;
}
