// One plotly figure of a Panel page: drawn once for each change, and only while it can be seen.
// Panel's own pane draws three to five times for each, because every layout of the page resizes it.

// Panel leaves slider handles and the steppers of number fields without a name for screen readers.
function name_controls(root = document) {
  for (const node of root.querySelectorAll("*")) {
    if (node.shadowRoot) name_controls(node.shadowRoot);
    if (node.hasAttribute("aria-label")) continue;
    const title = root.querySelector(".bk-slider-title, label")?.textContent ?? "";
    if (node.matches(".noUi-handle")) node.setAttribute("aria-label", title.replace(/:.*/s, ""));
    if (node.matches(".bk-spin-btn-up")) node.setAttribute("aria-label", `${title}: more`);
    if (node.matches(".bk-spin-btn-down")) node.setAttribute("aria-label", `${title}: less`);
  }
}

export function render({ model, el }) {
  const node = document.createElement("div");
  node.style.width = "100%";
  node.setAttribute("role", "img");
  el.appendChild(node);
  let seen = true, stale = true, width = 0, drawing = false;

  const width_now = () => Math.floor(el.clientWidth || el.getBoundingClientRect().width);

  async function draw() {
    stale = true;
    if (drawing || !seen || !model.figure || !width_now()) return;
    drawing = true;
    while (stale) {
      stale = false;
      width = width_now();
      const { data, layout } = JSON.parse(model.figure);
      node.style.height = `${layout.height}px`;
      node.setAttribute("aria-label", model.words);
      await window.Plotly.react(node, data, { ...layout, width }, model.config);
      if (!node.dataset.drawn) listen();
    }
    drawing = false;
  }

  function listen() {
    node.dataset.drawn = "yes";
    setTimeout(name_controls, 0);
    node.on("plotly_selected", (event) => {
      if (event?.range?.x) model.send_msg({ brushed: event.range.x });
    });
    node.on("plotly_click", (event) => {
      const point = event?.points?.[0];
      if (point) model.send_msg({ clicked: { x: point.x, customdata: plain(point.customdata) } });
    });
  }

  const plain = (data) => (data === undefined ? null : Array.from(data));

  const sight = new IntersectionObserver((entries) => {
    seen = entries.at(-1).isIntersecting;
    if (seen && stale) draw();
  }, { rootMargin: "200px" });
  sight.observe(el);
  const size = new ResizeObserver(() => { if (width_now() !== width) draw(); });
  size.observe(el);
  model.on("figure", draw);
  model.on("remove", () => { sight.disconnect(); size.disconnect(); window.Plotly.purge(node); });
  draw();
}
