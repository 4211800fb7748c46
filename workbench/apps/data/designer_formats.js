// Formats from their parts, as Python makes them: the value of every code and what rounding needs.
// `floats`, `ascending`, `halves` and `firstNotBelow` of the bit editor stand before this.

// What all formats have, from the values of their codes.
function formatOf(parts) {
  const { values, codes } = parts.sorted ?? ascending(parts.codes);
  const middles = parts.middles ?? halves(values);
  const format = { ...parts, values, places: codes, middles, least: values[0],
    largest: values.at(-1) };
  format.reach ??= format.largest > 0 ? format.largest : -format.least;
  format.specials = parts.specials ?? specialsOf(parts);
  format.digits = Math.ceil(format.bits / 4);
  format.subnormal ??= () => false;
  format.stepAt ??= (x) => stepIn(values, parts.steps === "signed" ? x : Math.abs(x));
  return format;
}

// The distance between the two neighbours around a value.
function stepIn(values, x) {
  let above = firstNotBelow(values, x);
  if (values[above] === x) above += 1;
  above = Math.min(Math.max(above, 1), values.length - 1);
  return values[above] - values[above - 1];
}

// The codes that mean no finite value of their own, counted.
function specialsOf({ codes, nanWord = "NaN" }) {
  const count = (test) => codes.reduce((sum, value) => sum + (test(value) ? 1 : 0), 0);
  const infinite = count((value) => Math.abs(value) === Infinity);
  const found = [[nanWord, count(Number.isNaN)],
    [infinite === 2 ? "±∞" : "∞", infinite ? 1 : 0], ["−0", count((v) => Object.is(v, -0))]];
  return found.filter(([, many]) => many)
    .map(([name, many]) => (many === 1 ? name : `${name} ×${many}`));
}

function usualTop(e, m) {
  if (e + m + 1 <= 6 || e === 0) return "finite";
  return e === 4 && m === 3 ? "fn" : "ieee";
}

function usualBias(e, top) {
  return e ? 2 ** (e - 1) - (top === "fnuz" ? 0 : 1) : 1;
}

const USUAL_OVERFLOW = { ieee: "inf", fn: "saturate", fnuz: "nan", finite: "saturate" };

function floatFormat(e, m, { top, bias, sign = true, subnormals = true, overflow } = {}) {
  const parts = { e, m, top, bias: bias ?? usualBias(e, top), sign, subnormals,
    overflow: overflow ?? USUAL_OVERFLOW[top] };
  checkFloat(parts);
  const least = 1 - parts.bias;
  const codes = floatCodes(parts), sorted = floatsInOrder(codes, 2 ** (e + m), sign);
  const largest = sorted.values.at(-1);
  const step = (x) => {
    const size = Math.min(Math.abs(x), largest);
    return 2 ** (Math.max(size ? exponentOf(size) : least, least) - m);
  };
  return formatOf({ name: floatName(parts), family: "float", bits: e + m + (sign ? 1 : 0), codes,
    sorted, alone: true, subnormal: (x) => x !== 0 && Math.abs(x) < 2 ** least,
    stepAt: subnormals ? step : undefined, cost: () => floatGates(e, m) });
}

// The power of two of a positive number.
function exponentOf(x) {
  const power = Math.floor(Math.log2(x));
  return 2 ** power > x ? power - 1 : 2 ** (power + 1) <= x ? power + 1 : power;
}

function floatCodes({ e, m, bias, top, sign, subnormals }) {
  const count = 2 ** (e + m);
  const sizes = Float64Array.from({ length: count }, (_, code) => {
    const field = Math.floor(code / 2 ** m), fraction = code % 2 ** m;
    if (top === "ieee" && field === 2 ** e - 1) return fraction ? NaN : Infinity;
    if (top === "fn" && code === count - 1) return NaN;
    const whole = field ? fraction + 2 ** m : subnormals ? fraction : 0;
    return whole * 2 ** (Math.max(field, 1) - bias - m);
  });
  if (!sign) return sizes;
  const both = new Float64Array(2 * count);
  both.set(sizes);
  both.set(sizes.map((size) => -size), count);
  if (top === "fnuz") both[count] = NaN;
  return both;
}

// The distinct finite values in order, each with its smallest code: magnitudes ascend with theirs.
function floatsInOrder(codes, count, sign) {
  const places = [];
  for (let code = 0; code < count; code += 1) {
    if (Number.isFinite(codes[code]) && (!code || codes[code] > codes[code - 1])) places.push(code);
  }
  const negative = sign ? places.slice(1).reverse().map((code) => code + count) : [];
  const all = [...negative, ...places];
  return { codes: all, values: all.map((code) => codes[code]) };
}

function checkFloat({ e, m, top, sign, subnormals, overflow }) {
  const what = `e${e}m${m} (${top})`, bits = e + m + (sign ? 1 : 0);
  const refuse = (why, instead, of = what) => { throw new Refusal(of, why, instead); };
  if (bits > 16 || bits < 1 + (sign ? 1 : 0)) {
    refuse(`it has ${bits} bits, and floats here have 2 to 16`, "write e5m10 or narrower");
  }
  if (e === 0 && top !== "finite") {
    refuse("without exponent bits no code is special", "write top=finite");
  }
  const least = { ieee: e === 1 && !subnormals ? Infinity : 2, fn: 2 }[top] ?? 0;
  if (e + m < least) refuse("no finite non-zero code is left", "write top=finite");
  if (top === "fnuz" && !sign) {
    refuse("fnuz takes the code of -0 for NaN, which needs a sign", "use fn");
  }
  if (overflow === "inf" && top !== "ieee") {
    refuse("it has no infinity", "write saturate", `${what} with overflow inf`);
  }
  if (overflow === "nan" && (top === "finite" || (top === "ieee" && !m))) {
    refuse("it has no NaN", "write saturate", `${what} with overflow nan`);
  }
}

function floatName({ e, m, top, bias, sign, subnormals, overflow }) {
  const own = bias !== usualBias(e, top), options = [];
  const plain = !own && sign && subnormals && overflow === USUAL_OVERFLOW[top];
  if (plain && top === "ieee" && e === 8 && m === 7) return "bf16";
  if (plain && top === "ieee" && e === 5 && m === 10) return "f16";
  let suffix = top === usualTop(e, m) ? "" : top;
  if (e === 4 && m === 3 && top === "fn") suffix = "fn";
  if (e === 8 && m === 0 && !suffix) suffix = "ieee";
  if (suffix === "fn" && e + m + 1 <= 6) {
    suffix = "";
    options.push("top=fn");
  }
  if (own) options.push(`bias=${bias}`);
  if (overflow !== USUAL_OVERFLOW[top]) options.push(overflow);
  if (!subnormals) options.push("nosub");
  const text = `${sign ? "" : "u"}e${e}m${m}${suffix}`;
  return options.length ? `${text}(${options.join(",")})` : text;
}

function integerFormat(width, sign = true, narrow = false) {
  const name = `${sign ? "" : "u"}int${width}${narrow ? "n" : ""}`;
  if (!(width >= 1 && width <= 16)) {
    throw new Refusal(name.replace(/n$/, ""), "integers here have 1 to 16 bits", "write int8");
  }
  if (narrow && (!sign || width < 2)) {
    const usual = name.slice(0, -1);
    throw new Refusal(`${usual} narrow`, "narrow drops the most negative of several codes",
      `write ${usual}`);
  }
  const count = 2 ** width, last = sign ? count / 2 - 1 : count - 1;
  const codes = Float64Array.from({ length: count }, (_, code) => {
    const value = code > last ? code - count : code;
    return narrow && value === -count / 2 ? NaN : value;
  });
  return formatOf({ name, family: "integer", bits: width, codes, alone: false, stepAt: () => 1,
    nanWord: "no value", cost: () => integerGates(width) });
}

// A codebook from ascending numbers, as it is typed in a spec string.
function codebookFormat(numbers) {
  const name = `codebook(${numbers.map(shortest).join(",")})`;
  if (numbers.some((value, i) => i && value < numbers[i - 1])) {
    throw new Refusal(name, "its values must ascend", "sort them");
  }
  const distinct = new Set(numbers).size === numbers.length;
  if (numbers.length < 2) {
    throw new Refusal(`a codebook of ${numbers.length} values`, "it needs 2 to 65536",
      "list more values");
  }
  if (!distinct || !numbers.every(Number.isFinite)) {
    throw new Refusal(`codebook '${name}'`, "its values must be finite and distinct",
      "remove NaN, infinities and repetitions");
  }
  const bits = Math.max(1, Math.ceil(Math.log2(numbers.length)));
  return formatOf({ name, family: "codebook", bits, codes: Float64Array.from(numbers),
    alone: false, steps: "signed", reach: Math.max(...numbers.map(Math.abs)),
    cost: () => codebookGates(bits) });
}

// A format that does not follow from parts, from the table of its codes.
function tableFormat(table) {
  const { codes, middles, gates, step, ...rest } = table;
  return formatOf({ ...rest, codes: floats(codes), middles: middles && floats(middles),
    stepAt: step === null ? undefined : () => step, cost: () => gates });
}

// Gates of one multiply-accumulate, as workbench.costs.gates counts them.
function arrayGates(bits) {
  const { and_gate: and, full_adder: adder } = SUPPLIES.gates;
  return bits * bits * and + bits * Math.max(bits - 1, 0) * adder;
}

function integerGates(bits) {
  const { accumulator, full_adder: adder } = SUPPLIES.gates;
  return arrayGates(bits) + Math.max(accumulator, 2 * bits) * adder;
}

function floatGates(e, m) {
  const { accumulator, full_adder: adder, multiplexer } = SUPPLIES.gates;
  const significand = m + (e ? 1 : 0), places = 2 * Math.max(2 ** e - 2, 0);
  const wide = 2 * significand + places;
  const exponents = e ? (e + 1) * adder : 0;
  const alignment = wide * Math.ceil(Math.log2(places + 1)) * multiplexer;
  return arrayGates(significand) + exponents + alignment + Math.max(accumulator, wide) * adder;
}

function codebookGates(bits) {
  const { accumulator, full_adder: adder, multiplexer, entry } = SUPPLIES.gates;
  const lookup = (2 ** bits - 1) * entry * multiplexer;
  return arrayGates(entry) + Math.max(accumulator, 2 * entry) * adder + lookup;
}
