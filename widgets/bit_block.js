// A block: the bits of its scale, its values, and the bits of the one that is chosen. `changed` gets
// { scale } or { elements }.
function blockPanel(parent, changed) {
  const panel = make("div", "bits-block", parent);
  let now = null, chosen = 0;
  const words = make("p", "bits-line", panel);
  const scaleRow = bitRow(panel, "Bits of the scale", (code) => changed({ scale: code }),
    (by) => move(now.scaleFormat, now.scale, by, (code) => changed({ scale: code })));
  const grid = make("div", "bits-grid", panel);
  grid.setAttribute("role", "group");
  const line = make("p", "bits-line", panel);
  const elementRow = bitRow(panel, "Bits of the chosen element", setElement,
    (by) => move(now.elementFormat, now.elements[chosen], by, setElement));
  const list = make("p", "bits-line bits-values", panel);

  function move(format, code, by, done) {
    const next = format.step(code, by);
    if (next !== null && next !== code) done(next);
  }

  function setElement(code) {
    changed({ elements: now.elements.map((old, i) => (i === chosen ? code : old)) });
  }

  function choose(i) {
    chosen = Math.max(0, Math.min(now.elements.length - 1, i));
    show();
    grid.children[chosen].focus();
  }

  grid.addEventListener("click", (event) => {
    const cell = event.target.closest("button");
    if (cell) choose(Number(cell.dataset.place));
  });
  grid.addEventListener("keydown", (event) => {
    const act = { ArrowLeft: () => choose(chosen - 1), ArrowRight: () => choose(chosen + 1),
      Home: () => choose(0), End: () => choose(now.elements.length - 1),
      ArrowUp: () => move(now.elementFormat, now.elements[chosen], 1, setElement),
      ArrowDown: () => move(now.elementFormat, now.elements[chosen], -1, setElement) }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  // { elementFormat, scaleFormat, scale, elements, whole, name }
  function update(block) {
    now = block;
    chosen = Math.min(chosen, block.elements.length - 1);
    if (grid.children.length !== block.elements.length) {
      grid.replaceChildren(...block.elements.map((_, i) => blockCell(i)));
    }
    show();
  }

  function show() {
    const { elementFormat, scaleFormat, scale, elements, whole, name } = now;
    const factor = scaleFormat.decode(scale);
    const values = elements.map((code) => elementFormat.decode(code) * factor);
    words.textContent = `Scale, ${scaleFormat.name}: code ${scaleFormat.hex(scale)} = `
      + `${short(factor, 9)}, shared by ${elements.length} values of ${elementFormat.name}`
      + `${whole ? "; the tensor's own float32 scale is taken as 1" : ""}.`;
    scaleRow.update(scaleFormat, scale);
    grid.setAttribute("aria-label", `${elements.length} elements of ${name}`);
    elements.forEach((code, i) => fillCell(grid.children[i], elementFormat, code, values[i], i === chosen));
    const code = elements[chosen];
    line.textContent = `Element ${chosen}: code ${elementFormat.hex(code)} = `
      + `${short(elementFormat.decode(code))}, times ${short(factor, 9)} = ${short(values[chosen], 9)}.`;
    elementRow.update(elementFormat, code);
    list.textContent = `Values: ${values.map((value) => short(value, 6)).join(", ")}`;
  }
  return { update, panel };
}

function blockCell(i) {
  const cell = make("button", "bits-element");
  cell.type = "button";
  cell.dataset.place = i;
  make("b", "", cell);
  make("small", "", cell);
  return cell;
}

function fillCell(cell, format, code, value, chosen) {
  cell.tabIndex = chosen ? 0 : -1;
  cell.setAttribute("aria-pressed", String(chosen));
  cell.setAttribute("aria-label",
    `element ${cell.dataset.place}, code ${format.hex(code)}, value ${short(value, 6)}`);
  cell.firstChild.textContent = short(value, 4);
  cell.lastChild.textContent = format.binary(code);
}
