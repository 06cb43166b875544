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

/**
 * The number of droplets: its median, and the ends of the interval that holds it with 90 %.
 * odds: of each, given that what all share is 0; u: equally likely values of that, times shared; sure: how many more.
 */
function countOf(odds, shared, u, sure = 0) {
  const whole = new Float64Array(odds.length + 1);
  for (const value of u) {
    const likely = [], unlikely = [];
    for (const own of odds) {
      const chance = 1 / (1 + Math.exp(-(own + shared * value)));
      if (chance > 0.5) likely.push(1 - chance); else if (chance > 1e-15) unlikely.push(chance);
    }
    const [absent, present] = [numberOf(likely.filter((q) => q > 1e-15)), numberOf(unlikely)];
    absent.forEach((p, k) => present.forEach((q, m) => { whole[likely.length - k + m] += (p * q) / u.length; }));
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

/** The count with its interval, in words, of some rows of the table, some other candidates, and of what was drawn. */
function countInWords(counting, rows, others, drawn) {
  const odds = others.map((k) => counting.others.odds[k]);
  let sure = drawn;
  for (const row of rows) {
    if (corrections.kept.has(row)) sure += 1;
    else if (!corrections.removed.has(row)) odds.push(counting.rows[row]);
  }
  const { median, low, high } = countOf(odds, counting.shared, counting.u, sure);
  return low < high ? `${median} (${low} to ${high})` : `${median}`;
}
