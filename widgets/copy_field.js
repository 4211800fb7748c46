// A text to take away: a field that shows it, and a button that copies it. `copyText` stands before
// this in the module that is sent.
export default {
  render({ model, el }) {
    const make = (tag, name, parent) => {
      const made = document.createElement(tag);
      made.className = name;
      return parent.appendChild(made);
    };
    el.style.width = "100%";
    const label = make("label", "copy-label", el);
    label.textContent = model.get("label");
    const row = make("div", "copy-row", el);
    const field = make("input", "copy-text", row);
    field.readOnly = true;
    field.setAttribute("aria-label", model.get("label"));
    const button = make("button", "jupyter-button copy-button", row);
    button.textContent = "Copy";
    button.setAttribute("aria-live", "polite");
    button.addEventListener("click", () => copyText(field.value, (word) => {
      button.textContent = word;
    }));
    const show = () => { field.value = model.get("text"); };
    model.on("change:text", show);
    show();
    return () => model.off("change:text", show);
  },
};
