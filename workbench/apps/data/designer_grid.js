// The value grid of a designer as a plotly figure, drawn as workbench.views.value_grid draws it; on
// a narrow page the names stand over their strips instead of beside them.

const BARS = 280, MOST_TICKS = 2000, MOST_ROWS = 400, FOOT = 0.45;
const STEP_TICKS = { tickvals: [2 ** -8, 2 ** -4, 1], ticktext: ["0.4 %", "6 %", "100 %"] };

function gridView(picture, state, narrow) {
  const axis = axisOver(picture, state.axis), look = SUPPLIES.looks[state.theme];
  const last = picture.length - 1;
  const data = [density(axis, look)];
  const tall = narrow ? 0.55 : 1;
  picture.forEach((one, i) => data.push(...strip(one, last - i, axis, tall), sawtooth(one, axis)));
  data.push(placesToClick(axis, last));
  return { title: "Values of the formats over the data", provenance: "sketch",
    caption: gridCaption(picture), data, layout: gridLayout(picture, axis, look, narrow) };
}

// Three panels over one value axis: data, strips, step size.
function gridLayout(picture, axis, look, narrow) {
  const each = narrow ? 46 : 26, strips = each * picture.length, gap = narrow ? 18 : 14;
  const heights = [["yaxis", 110], ["yaxis2", strips], ["yaxis3", 100]];
  const total = 210 + strips + 2 * gap, layout = { ...look.base, height: total + (narrow ? 98 : 84) };
  let at = 0;
  for (const [name, height] of heights) {
    const domain = [at / total, Math.min((at + height) / total, 1)];
    layout[name] = { domain, automargin: false, fixedrange: true };
    at += height + gap;
  }
  Object.assign(layout.yaxis, STEP_TICKS, { type: "log", range: [-2.86, 0.15],
    tickmode: "array", zeroline: false });
  Object.assign(layout.yaxis2, { showgrid: false, zeroline: false, ticks: "",
    tickvals: picture.map((_, i) => i), range: [-0.55, picture.length - FOOT],
    ticktext: picture.map(({ label }) => (narrow ? "" : `<b>${label}</b>`)).reverse() });
  Object.assign(layout.yaxis3, { tickformat: ".1~%", nticks: 3, rangemode: "tozero" });
  const longest = Math.max(...picture.map(({ label }) => label.length));
  const words = axis.kind === "symlog2" ? "value (symmetric log, powers of two)" : "value";
  layout.xaxis = { ...axis.ticks(narrow ? 7 : 13), range: axis.range, tickmode: "array",
    title: { text: words }, zeroline: false, anchor: "y", showgrid: true, automargin: false };
  layout.margin = narrow ? { l: 46, r: 10, t: 22, b: 44 }
    : { l: Math.max(84, 16 + 7 * longest), r: 112, t: 8, b: 44 };
  if (!narrow) titles(layout);
  layout.annotations = narrow ? namesOver(picture, layout, look) : [tray(picture, look)];
  return { ...layout, showlegend: false, dragmode: false };
}

function titles(layout) {
  layout.yaxis.title = { text: "step ÷ value" };
  layout.yaxis3.title = { text: "share of<br>the data" };
}

function specialsText({ format }) {
  return format.specials.join(" · ") || "no specials";
}

// Beside the strips, in one text as many lines high, the codes that are no finite value.
function tray(picture, look) {
  const lines = picture.map((one) => `<span style="font-size:11px">${specialsText(one)}</span>`);
  return { xref: "paper", x: 1.006, xanchor: "left", yref: "y2", y: (picture.length - 1) / 2,
    text: lines.join("<br>"), showarrow: false, align: "left",
    font: { size: 26 / 1.3, color: look.quiet } };
}

// Names and panel titles inside the picture, where there is no room beside it.
function namesOver(picture, layout, look) {
  const common = { xref: "paper", x: 0, xanchor: "left", showarrow: false, align: "left" };
  const names = picture.map((one, i) => ({ ...common, yref: "y2",
    y: picture.length - 1 - i + 0.28, yanchor: "middle",
    text: `<b>${one.label}</b> <span style="font-size:10px">${specialsText(one)}</span>`,
    font: { size: 11, color: look.text } }));
  const panels = [["yaxis", "step ÷ value"], ["yaxis3", "share of the data"]];
  const above = panels.map(([name, text]) => ({ ...common, yref: "paper", x: 0.01,
    y: layout[name].domain[1], yanchor: "bottom", text, font: { size: 11, color: look.quiet } }));
  return [...names, ...above];
}

// The ridge: share of the values in each of many bars evenly wide on the axis.
function density(axis, look) {
  const edges = axis.places(BARS + 1), counts = edges.map((place) => under(axis.value(place)));
  const twice = (list) => list.flatMap((x) => [x, x]);
  const shares = counts.slice(1).map((count, i) => (count - counts[i]) / SUPPLIES.tensor.n);
  const middles = edges.slice(1).map((edge, i) => axis.value(0.5 * (edge + edges[i])));
  return { type: "scatter", x: twice(edges).slice(1, -1), y: twice(shares), yaxis: "y3",
    mode: "lines", fill: "tozeroy", fillcolor: look.fill, line: { width: 1, color: look.quiet },
    customdata: twice(middles), name: "data",
    hovertemplate: "about %{customdata:.4g}<br>%{y:.3%} of the data<extra></extra>" };
}

// The ticks of one format, or bars of their density where there are too many.
function strip(one, row, axis, tall) {
  const places = one.values.map(axis.position);
  const seen = [...places.keys()].filter((i) =>
    places[i] >= axis.range[0] && places[i] <= axis.range[1]);
  if (seen.length > MOST_TICKS) {
    return [denseStrip(one, seen.map((i) => places[i]), row, axis, tall)];
  }
  const used = (i) => !(one.counts?.[i] < 0.5);
  const kinds = [["unused", seen.filter((i) => !used(i)), one.look.pale],
    ["used", seen.filter(used), one.look.colour]];
  return kinds.filter(([, at]) => at.length)
    .map(([name, at, colour]) => ticks(one, places, at, row, tall, colour, name));
}

// Values of one kind as one line that goes up at each; subnormals go up half as far.
function ticks(one, places, at, row, tall, colour, name) {
  const foot = row - FOOT, { format, counts, label } = one, total = SUPPLIES.tensor.n;
  const tiny = at.map((i) => format.subnormal(format.values[i]));
  const thrice = (list) => list.flatMap((x) => [x, x, x]);
  const share = counts ? "<br>%{customdata[2]:.3%} of the data rounds to it" : "";
  return { type: "scatter", x: thrice(at.map((i) => places[i])), yaxis: "y2", mode: "lines",
    y: tiny.flatMap((small) => [foot, foot + (small ? 0.42 : 0.85) * tall, foot]),
    line: { width: 1.6, color: colour, simplify: false },
    customdata: thrice(at.map((i) => [one.values[i], stepOf(one, i), (counts?.[i] ?? 0) / total,
      format.places[i]])),
    text: tiny.includes(true) ? thrice(tiny.map((small) => (small ? " subnormal" : ""))) : "",
    hovertemplate: `<b>${label}</b> code %{customdata[3]:#0${format.digits + 2}x} = `
      + `%{customdata[3]:0${format.bits}b}%{text}<br>value %{customdata[0]:.6g}`
      + `<br>step %{customdata[1]:.4g}${share}<extra></extra>`,
    meta: { scheme: label }, name: `${label} ${name}` };
}

function stepOf({ format, drawn }, i) {
  return format.stepAt(format.values[i]) * drawn;
}

// Codes a bar, as the height of bars inside the strip.
function denseStrip({ look, label }, places, row, axis, tall) {
  const edges = axis.places(BARS + 1), counts = new Array(BARS).fill(0);
  const width = (edges[BARS] - edges[0]) / BARS;
  for (const place of places) {
    counts[Math.min(BARS - 1, Math.max(0, Math.floor((place - edges[0]) / width)))] += 1;
  }
  const most = Math.max(1, ...counts);
  return { type: "bar", x: counts.map((_, i) => 0.5 * (edges[i] + edges[i + 1])), width,
    y: counts.map((count) => (count / most) * 0.8 * tall), base: row - 0.4, yaxis: "y2",
    marker: { color: look.colour, line: { width: 0 } }, customdata: counts,
    hovertemplate: `<b>${label}</b><br>%{customdata} codes here<extra></extra>`,
    name: label, meta: { scheme: label } };
}

// Step over value along the axis, from the format's smallest to its largest value.
function sawtooth({ look, label, format, drawn, values }, axis) {
  const inside = axis.places(481).map(axis.value)
    .filter((x) => x >= values[0] && x <= values.at(-1));
  const ratio = (x) => Math.min(Math.abs((format.stepAt(x / drawn) * drawn) / x), 2);
  return { type: "scatter", x: inside.map(axis.position), y: inside.map((x) => (x ? ratio(x) : 2)),
    mode: "lines", yaxis: "y", line: { color: look.colour, width: 1.6, dash: look.dash },
    customdata: inside, name: `${label} step`, meta: { scheme: label },
    hovertemplate: `<b>${label}</b> at %{customdata:.4g}<br>step %{y:.2%} of the value`
      + "<extra></extra>" };
}

// Marks that cannot be seen in the strip of the design, so that a click between ticks is heard.
function placesToClick(axis, row) {
  const places = axis.places(SUPPLIES.most.places);
  return { type: "scatter", x: places, y: places.map(() => row), yaxis: "y2", mode: "markers",
    marker: { opacity: 0, size: 6 }, hoverinfo: "none", name: "places to click" };
}

function gridCaption(picture) {
  const parts = picture.map((one) => {
    const unused = unusedOf(one), size = one.values.length;
    if (unused === null) return `${one.label} not counted`;
    const share = Math.round((100 * unused) / size);
    return `${share}% of ${one.label} (${thousands(unused)} of ${thousands(size)})`;
  });
  return `Values that no datum rounds to: ${parts.join(", ")}.`;
}

// The table twin: one row a value of each format, and how many rows are left out.
function gridRows(picture) {
  const all = picture.flatMap((one) => one.values.slice(0, MOST_ROWS).map((value, i) => ({
    scheme: one.label, code: one.format.places[i],
    bits: one.format.places[i].toString(2).padStart(one.format.bits, "0"), value,
    step: stepOf(one, i), subnormal: pythonText(one.format.subnormal(one.format.values[i])),
    "share of data": one.counts ? one.counts[i] / SUPPLIES.tensor.n : null })));
  const count = picture.reduce((sum, { values }) => sum + values.length, 0);
  return { rows: all.slice(0, MOST_ROWS), left: Math.max(0, count - MOST_ROWS) };
}
