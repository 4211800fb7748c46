// The static host of the format designer: controls, pictures and words over one state, which lives
// in the address's fragment. Everything computed stands before this.

const AFTERWARDS = 100; // milliseconds; browsers refuse an address that changes with every frame
const slim = matchMedia("(max-width: 640px)");
const { words: WORDS, start: START } = SUPPLIES;
const find = (id) => document.getElementById(id);
const fields = {};
let state = START, problem = "", waiting = 0, frame = 0, picture = pictureOf(START);

function add(parent, tag, settings = {}, text = "") {
  const made = document.createElement(tag);
  Object.entries(settings).forEach(([name, value]) => made.setAttribute(name, value));
  made.textContent = text;
  return parent.appendChild(made);
}

// A named control; `part` is hidden while the design is of a kind that has none of it.
function control(name, tag, settings, text) {
  const part = add(find("controls"), "p", { class: "control", "data-part": name });
  add(part, "label", { for: name }, text ?? WORDS.labels[name]);
  const field = fields[name] = add(part, tag, { id: name, ...settings });
  return { part, field };
}

function slider(name) {
  const [min, max] = SUPPLIES.bounds[name];
  const { part, field } = control(name, "input", { type: "range", min, max, step: 1 });
  const shown = add(part, "output", { for: name });
  part.insertBefore(shown, field);
  field.addEventListener("input", () => change({ [name]: Number(field.value) }));
}

// A choice; what is chosen is kept as JSON, so that truths stay truths.
function choice(name, options) {
  const { field } = control(name, "select", {});
  const pairs = Array.isArray(options) ? options.map((one) => [one, one]) : Object.entries(options);
  pairs.forEach(([label, value]) => add(field, "option", { value: JSON.stringify(value) }, label));
  if (name !== "click") {
    field.addEventListener("change", () => change({ [name]: JSON.parse(field.value) }));
  }
}

function text(name, tag, settings, label, changed) {
  const { field } = control(name, tag, { spellcheck: "false", autocomplete: "off", ...settings },
    label);
  field.addEventListener("change", () => change(changed(field.value)));
}

function buildControls() {
  const form = find("controls");
  choice("kind", SUPPLIES.kinds);
  Object.keys(SUPPLIES.bounds).forEach(slider);
  choice("top", SUPPLIES.tops);
  choice("signed", WORDS.signs);
  choice("subnormals", WORDS.tiny);
  text("values", "textarea", { rows: 5 }, WORDS.labels.values, (values) => ({ values }));
  choice("click", WORDS.clicks);
  choice("granularity", ["", ...Object.keys(SUPPLIES.shared)]);
  fields.granularity.options[0].textContent = "nothing: the format as it is";
  form.append(find("problem"));
  const made = add(form, "p", { class: "made" });
  for (const [label, name] of Object.entries(WORDS.made)) {
    add(made, "button", { type: "button" }, label)
      .addEventListener("click", () => take(() => suggested(name, state)));
  }
  const known = add(form, "datalist", { id: "known" });
  WORDS.known.forEach((value) => add(known, "option", { value }));
  WORDS.beside.forEach((label, i) => text(`beside${i}`, "input", { list: "known" }, label,
    () => ({ schemes: WORDS.beside.map((_, j) => fields[`beside${j}`].value) })));
  choice("axis", WORDS.axes);
  choice("theme", ["light", "dark"]);
  form.addEventListener("submit", (event) => event.preventDefault());
}

function change(changes) {
  take(() => checked({ ...state, ...changes }));
}

// A new state is shown and put into the address; a refusal leaves everything as it was.
function take(next) {
  try {
    state = next();
    problem = "";
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    problem = refusal.message;
  }
  if (!problem) {
    picture = pictureOf(state);
    clearTimeout(waiting);
    waiting = setTimeout(() => history.replaceState(null, "", `#${hashOf(state)}`), AFTERWARDS);
  }
  show();
}

// The default state has no query, and no fragment is the state the file was written with.
function hashOf(shown) {
  return queryOf(shown) || `kind=${shown.kind}`;
}

function show() {
  document.documentElement.dataset.theme = state.theme;
  find("problem").hidden = !problem;
  find("problem").textContent = problem;
  fill();
  if (problem) return;
  const rows = rowsOf(picture);
  find("figures").replaceChildren();
  figuresOf(rows).forEach(([name, value, origin]) => {
    const one = add(find("figures"), "div", {}, name);
    add(one, "b", { "data-figure": name }, value);
    add(one, "i", {}, origin);
  });
  find("spec").value = designed(state).name;
  find("code").textContent = codeOf(state);
  const query = queryOf(state);
  find("link").textContent = `/format_designer${query && "?"}${query}`;
  table(find("rows"), rows.map((row, i) => ({ ...row, scheme: picture[i].label })), 0);
  fillGrid();
  draw();
}

// Show the state in the controls; what was refused stays where it was typed.
function fill() {
  const parts = new Set(Object.values(WORDS.of_kind).flat());
  const shown = WORDS.of_kind[state.kind];
  const texts = { values: state.values.map((x) => pythonNumber(x).replace(/\.0$/, "")).join(", "),
    beside0: state.schemes[0] ?? "", beside1: state.schemes[1] ?? "" };
  for (const [name, field] of Object.entries(fields)) {
    field.parentElement.hidden = parts.has(name) && !shown.includes(name);
    if (name in texts) {
      if (!problem) field.value = texts[name];
    } else if (field.type === "range") {
      field.value = field.previousSibling.textContent = state[name];
    } else if (name === "granularity") {
      field.value = JSON.stringify(state.granularity && heldOf(state.granularity).key);
    } else if (name !== "click") {
      field.value = JSON.stringify(state[name]);
    }
  }
}

function table(box, rows, left) {
  const made = document.createElement("table");
  const head = add(add(made, "thead"), "tr"), body = add(made, "tbody");
  Object.keys(rows[0]).forEach((name) => add(head, "th", { scope: "col" }, name));
  for (const row of rows) {
    const line = add(body, "tr");
    Object.values(row).forEach((value) => add(line, "td", {}, cellText(value)));
  }
  box.replaceChildren(made);
  if (left) add(box, "p", {}, `${thousands(left)} more rows are left out.`);
}

function cellText(value) {
  if (value === null) return "";
  return typeof value === "number" && !Number.isInteger(value) ? general(value) : String(value);
}

function fillGrid() {
  const { rows, left } = gridRows(picture);
  if (find("twin").open) table(find("values-table"), rows, left);
}

// The pictures, each with its words.
const views = { grid: "", quality: "" };

function pane(name) {
  return figurePane({ el: find(name), read: () => ({ view: views[name], config: SUPPLIES.config }),
    tell: (message) => message.clicked && placed(message.clicked.x) });
}

function makeViews() {
  views.grid = JSON.stringify(gridView(picture, state, slim.matches));
  views.quality = JSON.stringify(qualityView(picture, state, slim.matches));
}

// At most once a frame, the grid first.
function draw() {
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(() => {
    makeViews();
    panes.grid.change();
    setTimeout(panes.quality.change, 0);
  });
}

function placed(place) {
  if (state.kind !== "codebook") return;
  const value = axisOver(picture, state.axis).value(place);
  take(() => clicked(state, picture, value, JSON.parse(fields.click.value)));
}

buildControls();
makeViews();
const panes = { grid: pane("grid"), quality: pane("quality") };
find("copy").addEventListener("click", () => copyText(find("spec").value, (word) => {
  find("copy").textContent = word;
}));
find("twin").addEventListener("toggle", fillGrid);
slim.addEventListener("change", draw);
addEventListener("hashchange", () => take(() => stateOf(location.hash)));
const given = location.hash.length > 1 ? location.hash : location.search; // a page's link, pasted
take(() => (given ? stateOf(given) : START));
if (problem) {
  const refusal = problem;
  take(() => START);
  problem = refusal;
  show();
}
document.body.dataset.ready = "yes";
