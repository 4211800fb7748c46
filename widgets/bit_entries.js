// Fields, lists and buttons around the bits: each takes what is typed and has its answer beside it.

function section(parent, title) {
  const part = make("section", "bits-section", parent);
  make("h2", "", part, title);
  return part;
}

// A text field; `set` gets what was typed once it is entered, `say` answers beside it.
function entry(parent, title, name, set) {
  const box = make("div", `bits-entry ${name}`, parent);
  const label = make("label", "", box);
  make("span", "", label, title);
  const input = make("input", "", label);
  const said = answer(box);
  let shown = "";
  Object.assign(input, { type: "text", spellcheck: false, autocomplete: "off" });
  const enter = () => (input.value === shown ? say("") : set(input.value));
  input.addEventListener("change", enter);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") input.blur(); // which enters it, once
    if (event.key === "Enter") input.focus();
    if (event.key === "Escape") show(shown);
  });
  function say(text, fine = false) {
    said(text, fine);
    self.refused = Boolean(text) && !fine;
    input.setAttribute("aria-invalid", String(self.refused));
  }
  function show(text) {
    shown = text;
    input.value = text;
    say("");
  }
  const self = { say, show, refused: false, offer: (names) => offer(box, input, names) };
  return self;
}

function answer(parent) {
  const node = make("span", "bits-answer", parent);
  node.setAttribute("aria-live", "polite");
  return (text, fine) => {
    node.textContent = text;
    node.className = fine ? "bits-answer bits-fine" : "bits-answer";
    if (text && !fine) node.setAttribute("role", "alert");
    else node.removeAttribute("role");
  };
}

// Names that the browser offers while one is typed.
function offer(parent, input, names) {
  if (parent.querySelector("datalist")) return;
  const list = make("datalist", "", parent);
  list.id = `bits-names-${Math.random().toString(36).slice(2)}`;
  names.forEach((name) => { make("option", "", list).value = name; });
  input.setAttribute("list", list.id);
}

function choice(parent, title, set) {
  const box = make("div", "bits-entry", parent);
  const label = make("label", "", box);
  make("span", "", label, title);
  const select = make("select", "", label);
  const said = answer(box);
  select.addEventListener("change", () => set(select.value));
  const self = { refused: false };
  self.say = (text) => {
    said(text, false);
    self.refused = Boolean(text);
  };
  self.show = (name) => {
    select.value = name;
    self.say("");
  };
  self.offer = (names) => {
    if (select.options.length === names.length) return;
    const held = select.value;
    select.replaceChildren(...names.map((name) => new Option(name || "none", name)));
    select.value = held;
  };
  return self;
}

function details(parent, title) {
  const box = make("details", "bits-details", parent);
  make("summary", "", box, title);
  return make("pre", "", box);
}

// The value in full: nothing rounded but what has no end.
function exactList(parent) {
  const list = make("dl", "bits-exact", parent);
  const rows = ["Exact decimal", "Hex float", "Rational"].map((title) => {
    const pair = make("div", "", list);
    make("dt", "", pair, title);
    return make("dd", "", pair);
  });
  return { update(format, value) {
    const rough = format.layout.kind === "logarithmic" ? " (nearest float64)" : "";
    const texts = [[exactDecimal(value) + rough], [hexFloat(value) + rough], rational(value)];
    rows.forEach((row, i) => {
      row.replaceChildren();
      place(row, texts[i]);
    });
  } };
}

// Buttons to the codes worth seeing; only those that the format has.
function drawJumps(parent, format, code, go) {
  if (parent.dataset.format !== format.name) {
    parent.dataset.format = format.name;
    parent.replaceChildren(...format.jumps.map((jump) => {
      const button = make("button", "", null, jump.name);
      button.type = "button";
      button.dataset.code = jump.code;
      button.addEventListener("click", () => go(jump.code));
      return button;
    }));
  }
  for (const button of parent.children) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.code) === code));
  }
}

// Python that opens the same state and prints its numbers.
function pythonOf(state, defaults) {
  const shown = { format: `'${state.format}'`, code: `0x${state.code.toString(16)}` };
  const list = (values) => `[${values.map((v) => (typeof v === "string" ? `'${v}'` : v)).join(", ")}]`;
  if (String(state.compare) !== String(defaults.compare)) shown.compare = list(state.compare);
  if (state.block) {
    Object.assign(shown, { block: `'${state.block}'`, scale: `0x${state.scale.toString(16)}`,
      elements: list(state.elements) });
  }
  const named = Object.entries(shown).map(([key, value]) => `${key}=${value}`).join(", ");
  return "from workbench.explorers.bit_editor import BitEditor\n\n"
    + `editor = BitEditor(${named})\n`
    + `print(editor.value, editor.rows()${state.block ? ", editor.values()" : ""})`;
}
