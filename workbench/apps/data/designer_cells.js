// The squared error of a tensor under a format and a scale, from cells of its values with their
// moments: the same sums and bounds as the sketches of Python (workbench.kernels.moments).

const FLOAT32 = 2 ** -22; // float32 arithmetic of scales, quotients and products, relative

function cellsOf(packed) {
  return { low: floats(packed.low), width: floats(packed.width), side: floats(packed.side),
    count: floats(packed.count), moments: floats(packed.moments) };
}

// Thresholds and values for magnitudes of positive values, then for those of negative ones.
function ladderOf(format) {
  const mirrored = (sorted) => Float64Array.from(sorted, (x) => -x || 0).reverse();
  return [[format.middles, format.values], [mirrored(format.middles), mirrored(format.values)]];
}

// How many sorted thresholds lie below x or at it.
function notAbove(thresholds, x) {
  let low = 0, high = thresholds.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (thresholds[middle] <= x) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The squared error of all cells: an estimate, and two sums between which it is.
function errorOf(cells, format, scale) {
  const ladder = ladderOf(format), sums = [0, 0, 0];
  for (let i = 0; i < cells.low.length; i += 1) {
    const [thresholds, values] = ladder[cells.side[i]];
    const found = cellError(cells, i, thresholds, values, scale);
    for (let part = 0; part < 3; part += 1) sums[part] += found[part];
  }
  return { total: sums[0], lower: sums[1], upper: sums[2] };
}

function cellError({ low, width, moments }, i, thresholds, values, scale) {
  const weight = moments[3 * i];
  let first = moments[3 * i + 1], second = moments[3 * i + 2], at = low[i], wide = width[i];
  if (first === 0 && second === 0) {
    wide = 0;
  } else if (second * weight - first * first <= 1e-12 * first * first) { // one value, repeated
    at += first / weight;
    wide = first = second = 0;
  }
  const start = notAbove(thresholds, at / scale);
  let stop = notAbove(thresholds, (at + wide) / scale);
  if (stop > start && thresholds[stop - 1] * scale >= at + wide) stop -= 1;
  if (start === stop || wide === 0) {
    const gap = at - values[start] * scale;
    const error = Math.max(0, second + 2 * gap * first + weight * gap * gap);
    return [error, error, error];
  }
  const sums = [weight, first, second];
  return stop === start + 1 ? cutOnce(sums, at, wide, scale, thresholds, values, start)
    : cutOften(weight, at, wide, scale, thresholds, values, start, stop);
}

// A cell that one threshold cuts: bounded whatever its values are.
function cutOnce([weight, first, second], low, width, scale, thresholds, values, start) {
  const step = (values[start + 1] - values[start]) * scale, gap = low - values[start] * scale;
  const whole = second + 2 * gap * first + weight * gap * gap;
  const t = thresholds[start] * scale - low;
  let [least, most, usual] = excess(weight, first, second, width, t);
  const off = (thresholds[start] - 0.5 * (values[start] + values[start + 1])) * scale;
  if (off !== 0) {
    const [fewest, many, number] = above(weight, first, width, t);
    least += off * (off > 0 ? fewest : many);
    most += off * (off > 0 ? many : fewest);
    usual += off * number;
  }
  return [usual, most, least].map((sum) => Math.max(0, whole - 2 * step * sum));
}

// A cell that several thresholds cut, taken as evenly filled.
function cutOften(weight, low, width, scale, thresholds, values, start, stop) {
  let left = low, largest = 0, even = 0;
  for (let j = start; j <= stop; j += 1) {
    const right = j < stop ? thresholds[j] * scale : low + width;
    const a = left - values[j] * scale, b = right - values[j] * scale;
    largest = Math.max(largest, Math.abs(a), Math.abs(b));
    even += (b * b * b - a * a * a) / 3;
    left = right;
  }
  return [(weight / width) * even, 0, weight * largest * largest];
}

// Bounds and an estimate of the sum of (x - t)+ in a cell; all about its lower edge.
function excess(weight, first, second, width, t) {
  const mean = first / weight, gap = mean - t;
  const variance = Math.max(0, second / weight - mean * mean);
  const least = Math.max(0, first - weight * t, (second - t * first) / width);
  let most = 0.5 * weight * (Math.sqrt(variance + gap * gap) + gap);
  most = Math.min(most, (first * (width - t)) / width);
  if (2 * t >= width) {
    most = Math.min(most, ((width - t) * second) / (width * width));
  } else {
    const mirrored = weight * width * width - 2 * width * first + second;
    most = Math.min(most, first - weight * t + (t * mirrored) / (width * width));
  }
  const share = t / width, tilt = Math.min(1, Math.max(-1, (6 * mean) / width - 3));
  const usual = 0.5 * (1 - share) ** 2 + tilt * (1 / 6 + share ** 3 / 3 - (share * share) / 2);
  most = Math.max(most, least);
  return [least, most, Math.min(most, Math.max(least, weight * width * usual))];
}

// Bounds and an estimate of how many values of a cell lie above t; all about its lower edge.
function above(weight, first, width, t) {
  let most = t > 0 ? Math.min(weight, first / t) : weight;
  const least = t < width ? Math.max(0, (first - weight * t) / (width - t)) : 0;
  const share = t / width;
  const tilt = Math.min(1, Math.max(-1, (6 * first) / weight / width - 3));
  const usual = weight * (1 - share + tilt * (share - share * share));
  most = Math.max(most, least);
  return [least, most, Math.min(most, Math.max(least, usual))];
}

// How many values become each of a format's, cut cells being taken as evenly filled.
function occupancyOf(cells, format, scale, total) {
  const ladder = ladderOf(format), size = format.values.length;
  const counts = new Float64Array(size);
  let counted = 0;
  for (let i = 0; i < cells.low.length; i += 1) {
    const [thresholds] = ladder[cells.side[i]];
    const end = cells.low[i] + cells.width[i];
    const narrow = cells.moments[3 * i + 1] === 0 && cells.moments[3 * i + 2] === 0;
    let left = cells.low[i], place = notAbove(thresholds, left / scale);
    counted += cells.count[i];
    while (left < end) {
      const cut = place < thresholds.length && !narrow ? thresholds[place] * scale : end;
      const right = Math.min(end, cut);
      const share = ((right - left) / cells.width[i]) * cells.count[i];
      if (right > left) counts[cells.side[i] ? size - 1 - place : place] += share;
      left = right;
      place += 1;
    }
  }
  const zero = notAbove(format.middles, 0); // blocks of nothing but zeros are in no cell
  counts[zero] += Math.max(0, total - counted);
  return counts;
}

// The scale that cells are rounded under, and that of the strip that is drawn; null where scales
// would leave their own format, or values become NaN.
function scaleOf(shared, format) {
  const single = Math.fround, q = format.reach;
  if (!shared) return { scale: 1, drawn: 1, wobble: 0 };
  if (shared.lost || !Number.isFinite(single(q))) return null;
  const divided = (reach) => {
    const scale = single(single(reach) / single(q));
    return reach > 0 ? Math.max(scale, 2 ** -149) : 1;
  };
  if (shared.rule === "tensor") {
    return { scale: divided(shared.reach), drawn: divided(shared.reach), wobble: 0 };
  }
  if (shared.rule === "unit") {
    const [scale, ...ends] = [1, 1 - FLOAT32, 1 + FLOAT32].map((part) =>
      divided(shared.reach * q * part));
    const off = Math.max(...ends.map((end) => Math.abs(end / scale - 1)));
    return { scale, drawn: scale, wobble: off };
  }
  const lift = shared.lift ?? 1, wobble = shared.wobble ?? 0;
  if (shared.rule === "units") return { scale: 1 / lift, drawn: shared.middle, wobble };
  if (shared.rule === "block") {
    return { scale: 1 / (q * lift), drawn: divided(shared.middle), wobble };
  }
  const tall = exponentOf(q), [least, most] = shared.exponents;
  if (least - tall < -127 || most - tall + 1 > 127) return null;
  return { scale: 2 ** -tall, drawn: shared.middle * 2 ** -tall, wobble: 0 };
}

// SQNR in dB and half the width of the interval around it that holds the exact one.
function qualityOf({ energy, rounded }, sums, wobble, loose) {
  const { total, lower, upper } = sums;
  if (total === 0) return { sqnr: Infinity, bound: upper === 0 ? 0 : null };
  const sqnr = energy === 0 ? -Infinity : 10 * Math.log10(energy / total);
  const slack = (FLOAT32 + (rounded ? 2 ** -23 : 0)) * Math.sqrt(energy) + loose
    + wobble * (Math.sqrt(energy) + Math.sqrt(upper));
  const low = Math.max(0, Math.sqrt(lower) - slack) ** 2;
  const high = (Math.sqrt(upper) + slack) ** 2;
  if (low === 0 || !Number.isFinite(high)) return { sqnr, bound: null };
  const ends = [high / total, total / low].map((ratio) => 10 * Math.log10(ratio));
  return { sqnr, bound: Math.max(0, ...ends) };
}

// How many values of the tensor lie under a limit, cut bins being taken as evenly filled.
function countsUnder({ ends, sums }) {
  return (limit) => {
    const after = firstNotBelow(ends, limit);
    const left = Math.max(after - 1, 0), right = Math.min(after, ends.length - 1);
    const width = ends[right] - ends[left];
    const part = width > 0 ? Math.min(1, Math.max(0, (limit - ends[left]) / width)) : 0;
    return sums[left] + part * (sums[right] - sums[left]);
  };
}

// The ends of the tensor's bins, ascending, and how many values lie under each.
function histogramOf(tensor, { low, width, side, count, moments }) {
  const clip = (x) => Math.min(tensor.high, Math.max(tensor.low, x));
  const bins = Array.from(low, (least, i) => {
    const top = least + (least === 0 && moments[3 * i + 2] === 0 ? 0 : width[i]);
    const pair = side[i] ? [-top || 0, -least || 0] : [least, top];
    return [clip(pair[0]), clip(pair[1]), count[i]];
  });
  bins.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const ends = [], sums = [];
  let total = 0;
  for (const [from, to, many] of bins) {
    ends.push(from, to);
    sums.push(total, total += many);
  }
  return { ends, sums };
}
