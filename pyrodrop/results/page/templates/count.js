"use strict";
// How many droplets there are, as pyrodrop counts them, and what a person has corrected on this page.

/** Rows of the table that were removed, or kept for sure, and circles [x, y, r] that were drawn. */
const corrections = { removed: new Set(), kept: new Set(), added: [] };

/** The distribution of the number of events, each of a probability of at most one half. */
function numberOf(chances) {
  let distribution = [1];
  for (const chance of chances) {
    distribution.push(0);
    for (let k = distribution.length - 1; k > 0; k -= 1) {
      distribution[k] = distribution[k] * (1 - chance) + distribution[k - 1] * chance;
    }
    distribution[0] *= 1 - chance;
    while (distribution.length > 1 && distribution[distribution.length - 1] < 1e-13) distribution.pop();
  }
  return distribution;
}

/** The distribution of how many of so many events of this probability come about. */
function binomial(number, chance) {
  const log = [number * Math.log1p(-chance)];
  const odds = Math.log(chance) - Math.log1p(-chance);
  let most = log[0];
  for (let k = 1; k <= number; k += 1) {
    const next = log[k - 1] + Math.log((number - k + 1) / k) + odds;
    if (next < most - 30 && k > number * chance) break;
    most = Math.max(most, next);
    log.push(next);
  }
  return log.map(Math.exp);
}

/** The distribution of the sum of two independent numbers. */
function sumOf(first, second) {
  const sum = new Float64Array(first.length + second.length - 1);
  second.forEach((q, m) => { if (q > 0) first.forEach((p, k) => { sum[k + m] += p * q; }); });
  return sum;
}

/** The standard normal distribution function (Abramowitz and Stegun, 26.2.17, to 1e-7). */
function normalBelow(x) {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const tail = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const above = (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) * tail;
  return x > 0 ? 1 - above : above;
}

/**
 * The number of droplets: its median, and the ends of the interval that holds it with 90 %.
 * odds: of each, given that what all share is 0; u: equally spaced values of that, times shared; sure: how many more;
 * unfitted: number, odds and shared doubt of those that are too improbable to be candidates.
 */
function countOf(odds, shared, u, sure = 0, unfitted = { number: 0, odds: 0, shared: 0 }) {
  const whole = new Float64Array(odds.length + unfitted.number + 1);
  // A normal distribution stands for a sum that spreads widely, as in the package; on a page of very many, sooner.
  const wide = odds.length > 2000 ? 9 : odds.length > 64 ? 100 : Infinity;
  const heights = u.map((value) => Math.exp((-value * value) / 2));
  const total = heights.reduce((sum, height) => sum + height, 0);
  const step = u.length > 1 ? u[1] - u[0] : 0;
  for (const [number, value] of u.entries()) {
    const weight = heights[number] / total;
    const likely = [], unlikely = [];
    let [mean, spread] = [0, 0];
    for (const own of odds) {
      const chance = 1 / (1 + Math.exp(-(own + shared * value)));
      mean += chance;
      spread += chance * (1 - chance);
      if (chance > 0.5) likely.push(1 - chance); else if (chance > 1e-15) unlikely.push(chance);
    }
    const chanceOfRest = 1 / (1 + Math.exp(-(unfitted.odds + unfitted.shared * value)));
    mean += unfitted.number * chanceOfRest;
    const spreadOfRest = unfitted.number * chanceOfRest * (1 - chanceOfRest);
    const between = step * (shared * spread + unfitted.shared * spreadOfRest);
    spread += spreadOfRest;
    if (spread > wide) {
      // Each value stands for all around it, over which the mean of very many droplets is as good as uniform.
      const sd = Math.sqrt(spread + (between * between) / 12);
      let below = 0;
      for (let k = 0; k < whole.length; k += 1) {
        const next = k + 1 < whole.length ? normalBelow((k + 0.5 - mean) / sd) : 1;
        whole[k] += (next - below) * weight;
        below = next;
      }
      continue;
    }
    const [absent, fitted] = [numberOf(likely.filter((q) => q > 1e-15)), numberOf(unlikely)];
    const present = sumOf(fitted, binomial(unfitted.number, chanceOfRest));
    absent.forEach((p, k) => present.forEach((q, m) => { whole[likely.length - k + m] += p * q * weight; }));
  }
  const quantile = (level) => {
    let sum = 0;
    for (let k = 0; k < whole.length; k += 1) {
      sum += whole[k];
      if (sum >= level - 1e-9) return k + sure;
    }
    return whole.length - 1 + sure;
  };
  return { median: quantile(0.5), low: quantile(0.05), high: quantile(0.95) };
}

/**
 * The count with its interval, in words, of some rows of the table, some other candidates, and of what was drawn;
 * whole: whether what is too improbable to be a candidate counts, too.
 */
function countInWords(counting, rows, others, drawn, whole) {
  const odds = others.map((k) => counting.others.odds[k]);
  let sure = drawn;
  for (const row of rows) {
    if (corrections.kept.has(row)) sure += 1;
    else if (!corrections.removed.has(row)) odds.push(counting.rows[row]);
  }
  const { median, low, high } = countOf(odds, counting.shared, counting.u, sure, whole ? counting.unfitted : undefined);
  return low < high ? `${median} (${low} to ${high})` : `${median}`;
}
