// The bit-field editor. The hosts (a Panel page, a notebook cell, a file) give `read`, what they know:
// { state, formats, blocks, names, blockNames, problem }, and `tell`, which takes a new state.
// A state that names a format whose descriptor is not there is told and waits for the host's answer.
function bitEditor({ el, read, tell }) {
  const root = make("div", "bits-editor", el);
  const known = new Map();
  let state = null, blocks = {}, blockShown = "";

  root.dataset.lmSuppressShortcuts = "true"; // JupyterLab leaves the keys to the editor
  const controls = make("div", "bits-controls", root);
  const fields = {
    format: entry(controls, "Format", "bits-name", (text) => setFormat(text)),
    decimal: entry(controls, "Decimal", "bits-decimal", (text) => typed("decimal", text)),
    hex: entry(controls, "Hexadecimal code", "bits-hex", (text) => typed("hex", text)),
    binary: entry(controls, "Binary code", "bits-binary", (text) => typed("binary", text)),
  };
  let asked = fields.format; // whose answer the host's refusal is
  const head = make("div", "bits-head", root);
  const badge = make("span", "bits-badge", head);
  badge.setAttribute("role", "status");
  const down = make("button", "", head, "−1 ulp"), up = make("button", "", head, "+1 ulp");
  [down, up].forEach((button) => { button.type = "button"; });
  const jumps = make("span", "bits-jumps", head);
  const row = bitRow(root, "Bits", setCode, step);
  const formula = formulaLine(root, setCode);
  const exact = exactList(root);
  const compared = section(root, "The same value in other formats");
  const compareEntry = entry(compared, "Formats compared", "bits-wide", setCompared);
  const table = compareTable(compared);
  const caption = make("p", "bits-caption", compared);
  const blockPart = section(root, "Block with a shared scale");
  const blockChoice = choice(blockPart, "Scheme", setBlock);
  const block = blockPanel(blockPart, propose);
  const python = details(root, "Python that redoes this");

  down.addEventListener("click", () => step(-1));
  up.addEventListener("click", () => step(1));

  const format = () => known.get(state.format);

  function setCode(code) {
    propose({ code });
  }

  function step(by) {
    const next = format().step(state.code, by);
    if (next === null) fields.hex.say(`${format().hex(state.code)} → NaN has no neighbours → `
      + "choose a number first");
    else if (next !== state.code) setCode(next);
  }

  function typed(kind, text) {
    const found = readEntry(format(), kind, text);
    if (found.problem) return fields[kind].say(found.problem);
    setCode(found.code);
    return fields[kind].say(found.note, true);
  }

  function setFormat(text) {
    asked = fields.format;
    propose({ format: text.trim(), code: null });
  }

  function setBlock(name) {
    asked = blockChoice;
    propose({ block: name });
  }

  function setCompared(text) {
    asked = compareEntry;
    propose({ compare: text.split(/,(?![^(]*\))/).map((name) => name.trim()).filter(Boolean) });
  }

  // Take a change over at once where all that it names is known here, else ask the host.
  function propose(change) {
    const next = completed({ ...state, ...change }, change);
    if (next) show(next);
    tell(next ?? { ...state, ...missing(change) });
  }

  const missing = (change) => ("block" in change ? { scale: null, elements: null, ...change } : change);

  // The state with the parts that a change leaves open, or null where the host must find them.
  function completed(next, change) {
    if (next.compare.length < 1 || next.compare.length > 8) return null;
    if (![next.format, ...next.compare].every((name) => known.has(name))) return null;
    const scheme = next.block ? blocks[next.block] : null;
    if (next.block && !(known.has(scheme?.element) && known.has(scheme?.scale))) return null;
    const compare = [...new Set(next.compare)];
    const held = next.code ?? recoded(known.get(next.format));
    if (!("block" in change)) return { ...next, compare, code: held };
    const example = scheme?.example ?? { scale: null, elements: null };
    return { ...next, ...example, compare, code: held };
  }

  const recoded = (to) => to.encode(format().decode(state.code)) ?? to.encode(0) ?? 0;

  // What the host has to say: new descriptors, another state, a refusal.
  function change() {
    const given = read();
    for (const [name, one] of Object.entries(given.formats)) {
      if (!known.has(name)) known.set(name, bitFormat(one));
    }
    blocks = { ...blocks, ...given.blocks };
    fields.format.offer(given.names);
    blockChoice.offer([...new Set(["", ...given.blockNames, given.state.block])]);
    const needed = [given.state.format, ...given.state.compare];
    const scheme = blocks[given.state.block];
    if (given.state.block) needed.push(scheme?.element, scheme?.scale);
    const asking = [given.state.code, given.state.block ? given.state.elements : 0].includes(null);
    if (!asking && needed.every((name) => known.has(name))) show(given.state);
    if (given.problem || asked.refused) asked.say(given.problem);
  }

  function show(next) {
    const same = JSON.stringify(state) === JSON.stringify(next);
    if (same && state) return;
    state = next;
    root.dataset.theme = state.theme === "dark" || darkNotebook() ? "dark" : "light";
    draw();
  }

  function draw() {
    const f = format(), value = f.decode(state.code);
    fields.format.show(f.name);
    fields.decimal.show(short(value));
    fields.hex.show(f.hex(state.code));
    fields.binary.show(groupedBinary(f, state.code));
    badge.textContent = classOf(f, state.code);
    drawJumps(jumps, f, state.code, setCode);
    row.update(f, state.code);
    formula.update(f, state.code);
    exact.update(f, value);
    compareEntry.show(state.compare.join(", "));
    const others = state.compare.map((name) => known.get(name));
    table.update(others, value);
    caption.textContent = noticed(others, value);
    drawBlock();
    python.textContent = pythonOf(state, read().defaults);
  }

  function drawBlock() {
    const scheme = blocks[state.block];
    blockChoice.show(state.block);
    block.panel.hidden = !state.block;
    const shown = JSON.stringify([state.block, state.scale, state.elements]);
    if (!state.block || shown === blockShown) return;
    blockShown = shown;
    block.update({ elementFormat: known.get(scheme.element), scaleFormat: known.get(scheme.scale),
      scale: state.scale, elements: state.elements, whole: scheme.whole, name: state.block });
  }

  change();
  return { change };
}

const darkNotebook = () => document.body.dataset.jpThemeLight === "false";

const groupedBinary = (format, code) => format.fields(code).map((field) =>
  format.part(code, field).toString(2).padStart(field.width, "0")).join("_");
