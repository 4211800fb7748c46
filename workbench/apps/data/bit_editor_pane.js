// The Panel host of bitEditor, which stands before this in the file that is served.
export function render({ model, el }) {
  const editor = bitEditor({
    el,
    read: () => ({ ...model.supplies, state: model.state, problem: model.problem }),
    tell: (state) => { model.state = state; },
  });
  for (const name of ["supplies", "state", "problem"]) model.on(name, editor.change);
}
