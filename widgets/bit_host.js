// The notebook host of bitEditor, which stands before this in the module that is sent.
export default {
  render({ model, el }) {
    const editor = bitEditor({
      el,
      read: () => ({ ...model.get("supplies"), state: model.get("state"),
        problem: model.get("problem") }),
      tell: (state) => {
        model.set("state", state);
        model.save_changes();
      },
    });
    const names = ["supplies", "state", "problem"];
    names.forEach((name) => model.on(`change:${name}`, editor.change));
    return () => names.forEach((name) => model.off(`change:${name}`, editor.change));
  },
};
