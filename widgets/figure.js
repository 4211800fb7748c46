// The notebook host of figurePane, which stands before this in the module that is sent.

// One plotly.js a page: it comes with the first widget of a kernel; a page that was opened anew and
// has none asks for it.
function plotly(model) {
  const text = model.get("library");
  if (window.Plotly?.react) return Promise.resolve();
  if (text) {
    window.workbenchPlotly ??= load(text);
    return window.workbenchPlotly;
  }
  return new Promise((resolve) => {
    const until = Date.now() + 3000;
    const look = setInterval(() => {
      if (window.Plotly?.react) {
        clearInterval(look);
        resolve();
      } else if (Date.now() > until) {
        clearInterval(look);
        model.on("change:library", () => resolve(plotly(model)));
        model.send({ need: "plotly" });
      }
    }, 50);
  });
}

function load(text) {
  return new Promise((resolve) => {
    const script = document.createElement("script");
    script.src = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    script.onload = resolve;
    document.head.append(script);
  });
}

// ipywidgets leave the handles of their sliders without a name for screen readers.
function nameSliders() {
  for (const handle of document.querySelectorAll(".widget-slider .noUi-handle")) {
    const label = handle.closest(".widget-slider").querySelector("label")?.textContent;
    if (label) handle.setAttribute("aria-label", label);
  }
}

export default {
  render({ model, el }) {
    el.style.width = "100%";
    const pane = figurePane({
      el,
      read: () => ({ view: model.get("view"), config: model.get("config") }),
      tell: (message) => model.send(message),
      drawn: nameSliders,
    });
    model.on("change:view", pane.change);
    plotly(model).then(pane.draw);
    return pane.stop;
  },
};
