// One view, its heading, plotly figure and caption, drawn once for each change and only while it can
// be seen. The hosts (a Panel page, a notebook cell) give `read`, the newest view as JSON, plotly's
// configuration and whether the words stand elsewhere, and `tell`, which takes what the user did.
function figurePane({ el, read, tell, drawn = () => {} }) {
  const make = (tag, name, parent) => {
    const made = document.createElement(tag);
    made.className = name;
    return parent.appendChild(made);
  };
  const pane = make("div", "view-pane", el);
  const heading = make("h2", "view-title", pane);
  const title = heading.appendChild(document.createTextNode(""));
  const origin = make("span", "view-origin", heading);
  const node = make("div", "view-figure", pane);
  const caption = make("p", "view-caption", pane);
  origin.title = "where the numbers come from";
  node.style.width = "100%";
  node.setAttribute("role", "img");
  if (read().bare) [heading, caption].forEach((words) => words.remove());
  let view = null, seen = true, stale = true, width = 0, drawing = false, listening = false;

  const width_now = () => Math.floor(el.clientWidth || el.getBoundingClientRect().width);
  const plain = (data) => (data === undefined ? null : Array.from(data));

  // The words change at once, also of a picture that is out of sight.
  function change() {
    if (!read().view) return;
    view = JSON.parse(read().view);
    say(view);
    draw();
  }

  async function draw() {
    stale = true;
    if (drawing || !seen || !window.Plotly || !view || !width_now()) return;
    drawing = true;
    while (stale) {
      stale = false;
      width = width_now();
      node.style.height = `${view.layout.height}px`;
      await window.Plotly.react(node, view.data, { ...view.layout, width }, read().config);
      if (!listening) listen();
    }
    drawing = false;
  }

  function say(words) {
    title.data = words.title;
    origin.textContent = words.provenance;
    origin.className = `view-origin ${words.provenance === "exact" ? "exact" : "estimate"}`;
    caption.textContent = words.caption;
    node.setAttribute("aria-label", `${words.title}. ${words.caption}`);
  }

  function listen() {
    listening = true;
    drawn();
    node.on("plotly_selected", (event) => {
      if (event?.range?.x) tell({ brushed: event.range.x });
    });
    node.on("plotly_click", (event) => {
      const point = event?.points?.[0];
      if (point) tell({ clicked: { x: point.x, y: point.y, customdata: plain(point.customdata) } });
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

  change();
  return { change, draw, stop };
}
