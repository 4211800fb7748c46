// Links the pictures of a report: schemes on and off in all of them, and a range of values that is
// brushed in one and filters the errors of the others. REPORT holds figures and error fields.
(() => {
  const STEPS = 40;
  const plots = {};
  const find = (id) => document.getElementById(id);

  function value(place) {
    if (REPORT.axis.kind === "linear") return place;
    const size = Math.abs(place);
    const scaled = size <= 1 ? size : 2 ** (size - 1);
    return Math.sign(place) * scaled * 2 ** REPORT.axis.linear;
  }

  function position(x, axis) {
    if (axis.kind === "linear") return x;
    const scaled = Math.abs(x) * 2 ** -axis.linear;
    return Math.sign(x) * (scaled <= 1 ? scaled : 1 + Math.log2(scaled));
  }

  function draw() {
    return Promise.all(Object.entries(REPORT.figures).map(([name, figure]) => {
      const node = document.querySelector(`#${name} .plot`);
      plots[name] = node;
      const layout = { ...figure.layout, autosize: true };
      return Plotly.newPlot(node, figure.data, layout, REPORT.config);
    }));
  }

  // Traces of one scheme, in every picture, and its rows in every table.
  function show(scheme, visible) {
    for (const node of Object.values(plots)) {
      const at = node.data.flatMap((trace, i) => (trace.meta?.scheme === scheme ? [i] : []));
      if (at.length) Plotly.restyle(node, { visible }, at);
    }
    for (const row of document.querySelectorAll("tbody tr")) {
      if (row.cells[0].textContent === scheme) row.hidden = !visible;
    }
  }

  // The part of each value bin that lies in the range.
  function weights(edges, range) {
    return edges.slice(1).map((high, i) => {
      if (!range) return 1;
      const inside = Math.min(high, range[1]) - Math.max(edges[i], range[0]);
      return Math.min(1, Math.max(0, inside / (high - edges[i])));
    });
  }

  // Shares of values by cause and step, and of squared error by cause, within the range.
  function within(field, range) {
    const w = weights(field.edges, range);
    const shares = [0, 1, 2].map(() => new Array(STEPS).fill(0));
    let total = 0;
    field.at.forEach((at, i) => {
      const bin = Math.floor(at / STEPS) % w.length;
      const count = field.counts[i] * w[bin];
      shares[Math.floor(at / STEPS / w.length)][at % STEPS] += count;
      total += count;
    });
    for (const row of shares) row.forEach((count, i) => { row[i] = total ? count / total : 0; });
    return { shares, budget: range ? budget(field, w) : field.budget, total };
  }

  function budget(field, w) {
    const sums = field.squares.map((row) => row.reduce((sum, square, i) => sum + square * w[i], 0));
    const all = sums[0] + sums[1] + sums[2] || 1;
    return { rounding: sums[0] / all, clipping: sums[1] / all, underflow: sums[2] / all, scale: 0 };
  }

  function errors(range) {
    const node = plots.error_by_cause;
    const causes = ["rounding", "clipping", "underflow"];
    const found = REPORT.fields.map((field) => within(field, range));
    node.data.forEach((trace, i) => {
      const meta = trace.meta || {};
      if (meta.cause) {
        const at = REPORT.fields.findIndex((field) => field.scheme === meta.scheme);
        Plotly.restyle(node, { y: [found[at].shares[causes.indexOf(meta.cause)]] }, [i]);
      } else if (meta.budget) {
        Plotly.restyle(node, { x: [found.map((one) => one.budget[meta.budget] || 0)] }, [i]);
      }
    });
    const stacks = found.flatMap(({ shares }) => shares[0].map((_, i) => shares[0][i] + shares[1][i]
      + shares[2][i]));
    const top = 1.1 * Math.max(...stacks, 1.2 * 2 / STEPS);
    const ranges = found.map((_, i) => [`yaxis${i + 3}.range`, [0, top]]);
    Plotly.relayout(node, Object.fromEntries(ranges));
    return found[0]?.total ?? 0;
  }

  function band(name, range, across) {
    const node = plots[name];
    const shapes = (REPORT.figures[name].layout.shapes || []).slice();
    if (range) {
      const axis = across ? REPORT.fanAxis : REPORT.axis;
      const [a, b] = range.map((x) => position(x, axis));
      const box = { type: "rect", layer: "below", fillcolor: REPORT.text, opacity: 0.14,
        line: { width: 1, color: REPORT.text } };
      shapes.push(across ? { ...box, xref: "paper", x0: 0, x1: 1, yref: "y2", y0: a, y1: b,
        layer: "above" } : { ...box, xref: "x", x0: a, x1: b, yref: "paper", y0: 0, y1: 1 });
    }
    Plotly.relayout(node, { shapes, selections: [] });
  }

  function choose(range) {
    const total = errors(range);
    band("value_grid", range, false);
    band("channel_fan", range, true);
    find("low").value = range ? Number(range[0].toPrecision(5)) : "";
    find("high").value = range ? Number(range[1].toPrecision(5)) : "";
    const all = REPORT.fields[0].counts.reduce((sum, count) => sum + count, 0) || 1;
    find("range").textContent = range ? `${(100 * total / all).toPrecision(3)} % of the values` : "";
  }

  function typed() {
    const range = [Number(find("low").value), Number(find("high").value)];
    if (find("low").value && find("high").value && range[0] < range[1]) choose(range);
  }

  function listen() {
    plots.value_grid.on("plotly_selected", (event) => {
      if (event?.range?.x) choose(event.range.x.map(value).sort((a, b) => a - b));
    });
    plots.value_grid.on("plotly_deselect", () => choose(null));
    find("clear").addEventListener("click", () => choose(null));
    for (const id of ["low", "high"]) find(id).addEventListener("change", typed);
    for (const box of document.querySelectorAll("fieldset input[type=checkbox]")) {
      box.addEventListener("change", () => show(box.value, box.checked));
    }
    find("controls").addEventListener("submit", (event) => event.preventDefault());
  }

  draw().then(() => { listen(); document.body.dataset.ready = "yes"; });
})();
