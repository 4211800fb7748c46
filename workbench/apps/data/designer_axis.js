// The value axis of the grid: linear, or symmetric log in powers of two (workbench.views.axis).

// Over the data, but not far beyond the grids themselves.
function axisOver(picture, kind) {
  const { tensor } = SUPPLIES;
  const ends = picture.map(({ values }) => Math.max(Math.abs(values[0]), Math.abs(values.at(-1))));
  const reach = 1.25 * Math.max(...ends), largest = tensor.largest > 0 ? tensor.largest : 1;
  const usual = tensor.typical > 0 && tensor.typical <= largest ? tensor.typical : largest / 8;
  const linear = Math.min(1000, Math.max(-1000, exponentOf(usual) - 6));
  const low = Math.max(tensor.signed ? -1.25 * largest : 0, -reach);
  return valueAxis(low, Math.min(1.25 * largest, reach), linear, kind);
}

function valueAxis(low, high, linear, kind) {
  const unit = 2 ** linear;
  const position = (x) => {
    const scaled = Math.abs(x) / unit;
    return kind === "linear" ? x : Math.sign(x) * (scaled <= 1 ? scaled : 1 + Math.log2(scaled));
  };
  const value = (place) => {
    const size = Math.abs(place);
    return kind === "linear" ? place
      : Math.sign(place) * (size <= 1 ? size : 2 ** (size - 1)) * unit;
  };
  const [first, last] = [position(low), position(high)];
  const places = (count) => Array.from({ length: count }, (_, i) =>
    (i === count - 1 ? last : first + ((last - first) * i) / (count - 1)));
  const ticks = (most) => (kind === "linear" ? linearTicks(low, high, most)
    : powerTicks({ low, high, linear, position }, most));
  return { kind, low, high, position, value, places, ticks, range: [first, last] };
}

// Multiples of a power of two, which formats can hold.
function linearTicks(low, high, most) {
  const step = 2 ** Math.ceil(Math.log2((high - low) / most));
  const first = Math.ceil(low / step), count = Math.floor(high / step) - first + 1;
  const places = Array.from({ length: count }, (_, i) => (first + i) * step || 0);
  return { tickvals: places, ticktext: places.map((x) => general(x).replace("-", "−")) };
}

// Zero and powers of two of both signs, so many octaves apart that they are few.
function powerTicks({ low, high, linear, position }, most) {
  const top = exponentOf(Math.max(Math.abs(low), Math.abs(high)));
  const sides = (low < 0) + (high > 0), fits = (step) =>
    sides * (Math.floor((top - linear) / step) + 1) + 1 <= most;
  const every = [1, 2, 3, 4, 5, 6, 8, 10, 16, 32, 64, 128, 512, 2048].find(fits);
  const marks = [[0, "0"]];
  for (let e = top; e > linear; e -= 1) {
    if (e % every === 0) marks.push([2 ** e, powerText(e)], [-(2 ** e), `−${powerText(e)}`]);
  }
  const inside = marks.filter(([x]) => x >= low && x <= high).sort((a, b) => a[0] - b[0]);
  return { tickvals: inside.map(([x]) => position(x)), ticktext: inside.map(([, text]) => text) };
}
