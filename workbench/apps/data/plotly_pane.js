// The Panel host of figurePane, which stands before this in the file that is served.

// Panel leaves slider handles and the steppers of number fields without a name for screen readers.
function nameControls(root = document) {
  for (const node of root.querySelectorAll("*")) {
    if (node.shadowRoot) nameControls(node.shadowRoot);
    if (node.hasAttribute("aria-label")) continue;
    const title = root.querySelector(".bk-slider-title, label")?.textContent ?? "";
    if (node.matches(".noUi-handle")) node.setAttribute("aria-label", title.replace(/:.*/s, ""));
    if (node.matches(".bk-spin-btn-up")) node.setAttribute("aria-label", `${title}: more`);
    if (node.matches(".bk-spin-btn-down")) node.setAttribute("aria-label", `${title}: less`);
  }
}

export function render({ model, el }) {
  const pane = figurePane({
    el,
    read: () => ({ view: model.view, config: model.config, bare: model.bare }),
    tell: (message) => model.send_msg(message),
    drawn: () => setTimeout(nameControls, 0),
  });
  model.on("view", pane.change);
  model.on("remove", pane.stop);
}
