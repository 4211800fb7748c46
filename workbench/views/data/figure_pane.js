// One plotly figure, drawn once for each change and only while it can be seen. The hosts (a Panel
// page, a notebook cell) give `read`, the newest figure as JSON and its words, and `tell`, which
// takes what the user did.
function figurePane({ el, read, tell, drawn = () => {} }) {
  const node = document.createElement("div");
  node.style.width = "100%";
  node.setAttribute("role", "img");
  el.appendChild(node);
  let seen = true, stale = true, width = 0, drawing = false, listening = false;

  const width_now = () => Math.floor(el.clientWidth || el.getBoundingClientRect().width);
  const plain = (data) => (data === undefined ? null : Array.from(data));

  async function draw() {
    stale = true;
    if (drawing || !seen || !window.Plotly || !read().figure || !width_now()) return;
    drawing = true;
    while (stale) {
      stale = false;
      width = width_now();
      const { figure, words, config } = read();
      const { data, layout } = JSON.parse(figure);
      node.style.height = `${layout.height}px`;
      node.setAttribute("aria-label", words);
      await window.Plotly.react(node, data, { ...layout, width }, config);
      if (!listening) listen();
    }
    drawing = false;
  }

  function listen() {
    listening = true;
    drawn();
    node.on("plotly_selected", (event) => {
      if (event?.range?.x) tell({ brushed: event.range.x });
    });
    node.on("plotly_click", (event) => {
      const point = event?.points?.[0];
      if (point) tell({ clicked: { x: point.x, customdata: plain(point.customdata) } });
    });
  }

  const sight = new IntersectionObserver((entries) => {
    seen = entries.at(-1).isIntersecting;
    if (seen && stale) draw();
  }, { rootMargin: "200px" });
  sight.observe(el);
  const size = new ResizeObserver(() => { if (width_now() !== width) draw(); });
  size.observe(el);

  function stop() {
    sight.disconnect();
    size.disconnect();
    if (listening) window.Plotly.purge(node);
  }

  draw();
  return { draw, stop };
}
