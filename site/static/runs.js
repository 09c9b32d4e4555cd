"use strict";

// The sliders of a lesson, without a kernel: they choose among runs that were computed beforehand.
// The picture and the list below it look like those of the package (d2lmini/sliders/picture.py).

(() => {
  const HEIGHT = 270, TOP = 30, BOTTOM = 230, LEFT = 46;
  const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "currentColor", "#E69F00",
    "#56B4E9", "#888888"];
  const MARKERS = ["m-3.5,0a3.5,3.5 0 1,0 7,0a3.5,3.5 0 1,0 -7,0", "m-3,-3h6v6h-6z",
    "m0,-4l4,7h-8z", "m0,-4.5l4,4.5l-4,4.5l-4,-4.5z", "m-3.5,-3.5l7,7m0,-7l-7,7",
    "m0,4l4,-7h-8z", "m-4,0h8m-4,-4v8", "m-4,-2h8v4h-8z"];
  const STEPS = [];
  for (let power = -2; power < 9; power++) {
    for (const digit of [1, 2, 5]) STEPS.push(digit * 10 ** power);
  }

  const escape = (text) => text.replace(/[&<>'"]/g, (c) => `&#${c.charCodeAt(0)};`);
  const number = (y) =>
    y >= 1e6 ? WORDS.million : y < 100 ? y.toFixed(1) : Math.round(y).toLocaleString("en");
  const line = (x1, y1, x2, y2, more = "") =>
    `<line x1='${x1}' y1='${y1}' x2='${x2}' y2='${y2}' stroke='currentColor' ${more}/>`;
  const words = (x, y, text, anchor = "start") =>
    `<text x='${x}' y='${y}' text-anchor='${anchor}' fill='currentColor'>${escape(text)}</text>`;
  const marker = (run, x, y) =>
    `<path d='M${x.toFixed(1)},${y.toFixed(1)}${MARKERS[run.slot]}' ` +
    `fill='${COLOURS[run.slot]}' stroke='${COLOURS[run.slot]}' stroke-width='1.4'/>`;

  // What a run has reached, as d2lmini.sliders.words says it.
  function outcome(run, epochs) {
    const said = [];
    if (run.d) {
      said.push(WORDS.diverged(run.epochs.at(-1), epochs));
    } else {
      said.push(`${WORDS.train} ${number(run.t.at(-1))}`);
      if (run.v) said.push(WORDS.validated(number(run.v.at(-1)), number(run.b)));
    }
    said.push(`${run.s < 10 ? run.s.toFixed(1) : Math.round(run.s)}\u00a0${WORDS.seconds}`);
    return said.join(WORDS.comma);
  }

  const tell = (run, epochs) => `${run.settings}${WORDS.colon}${outcome(run, epochs)}`;

  function advice(run, guess) {
    if (run.d) return WORDS.adviceDiverged;
    if (run.t.at(-1) > guess) return WORDS.adviceWorse;
    return "";
  }

  function draw(data, runs, newest, width) {
    const RIGHT = width - 14;
    const heights = runs.filter((run) => !run.d).flatMap((run) => [...run.t, ...(run.v ?? [])]);
    const top = Math.min(Math.max(2 * data.guess, ...heights), 4 * data.guess);
    const low = 0.95 * Math.min(data.guess / 4, top, ...heights);
    const bottom = Math.max(...STEPS.filter((step) => step <= Math.max(low, 1)));
    const x = (epoch) => LEFT + (RIGHT - LEFT) * epoch / data.epochs;
    const y = (value) => {
      const v = Math.log(Math.min(Math.max(value, bottom), top));
      return BOTTOM - (BOTTOM - TOP) * (v - Math.log(bottom)) / (Math.log(top) - Math.log(bottom));
    };
    const parts = [words(LEFT - 38, TOP - 16, WORDS.perplexity),
      words(RIGHT, BOTTOM + 36, WORDS.epoch, "end")];
    let levels = STEPS.filter((step) => bottom * 0.999 <= step && step <= top * 1.001);
    if (levels.length > 7) levels = levels.filter((step) => `${step}`.startsWith("1"));
    for (const level of levels) {
      parts.push(line(LEFT, y(level), RIGHT, y(level), "stroke-opacity='.15'"));
      parts.push(words(LEFT - 8, y(level) + 4, level.toLocaleString("en"), "end"));
    }
    const step = STEPS.find((s) => data.epochs <= 5 * s);
    for (let epoch = 0; epoch <= data.epochs; epoch += step) {
      parts.push(line(x(epoch), BOTTOM, x(epoch), BOTTOM + 4));
      parts.push(words(x(epoch), BOTTOM + 18, `${epoch}`, "middle"));
    }
    parts.push(line(LEFT, BOTTOM, RIGHT, BOTTOM));
    const dots = "stroke-dasharray='1 4' stroke-width='1.5'";
    parts.push(line(LEFT, y(data.guess), RIGHT, y(data.guess), dots));
    parts.push(words(RIGHT, y(data.guess) - 7, WORDS.guess(data.guess), "end"));
    for (const run of runs) {
      const emphasis = newest.includes(run)
        ? "stroke-width='2.4'" : "stroke-width='1.4' opacity='.8'";
      parts.push(`<g stroke='${COLOURS[run.slot]}' fill='none' stroke-linejoin='round' ${emphasis}>`);
      for (const [values, dashes] of [[run.v, "stroke-dasharray='6 4'"], [run.t, ""]]) {
        const places = (values ?? []).map((value, i) => [x(run.epochs[i]), y(value)]);
        if (!places.length) continue;
        const path = places.map(([a, b]) => `${a.toFixed(1)},${b.toFixed(1)}`).join("L");
        parts.push(`<path d='M${path}' ${dashes}/>`);
        let eighth = 0;
        places.forEach(([a, b], i) => {
          const now = Math.floor(8 * (a - LEFT) / (RIGHT - LEFT));
          if ((now > eighth && !dashes) || i === places.length - 1) parts.push(marker(run, a, b));
          eighth = now;
        });
      }
      parts.push("</g>");
    }
    if (runs.some((run) => run.v)) {
      for (const [left, dashes, label] of
        [[RIGHT - 150, "", WORDS.train], [RIGHT - 86, "stroke-dasharray='6 4'", WORDS.validation]]) {
        parts.push(line(left - 4, TOP - 20, left + 18, TOP - 20, `stroke-width='1.8' ${dashes}`));
        parts.push(words(left + 24, TOP - 16, label));
      }
    }
    const told = runs.toReversed().map((run) => tell(run, data.epochs));
    const label = WORDS.picture(told);
    return `<svg role='img' aria-label='${escape(label)}' viewBox='0 0 ${width} ${HEIGHT}'>` +
      `${parts.join("")}</svg>`;
  }

  function row(data, run) {
    const said = advice(run, data.guess);
    return `<div><svg width='16' height='12' viewBox='0 0 16 12' aria-hidden='true'>` +
      `${marker(run, 8, 6)}</svg> <b>${escape(run.settings)}</b>&ensp;` +
      escape(outcome(run, data.epochs)) + (said ? `<div><b>${escape(said)}</b></div>` : "") +
      (run.w ? `<q>${escape(run.w)}</q>` : "") + `</div>`;
  }

  const ALL = ""; // the menu's value for all labels; no label that there is to choose is empty
  const name = (label) => WORDS.names[label] ?? label;

  function start(panel) {
    const data = JSON.parse(panel.querySelector("script").textContent);
    const labels = Object.keys(data.runs);
    let runs = [], newest = [];
    const id = `panel${[...document.querySelectorAll(".d2lmini-panel")].indexOf(panel)}`;
    const slider = (name, label, values, at) =>
      `<div class="control"><label for="${id}-${name}">${label}</label>` +
      `<input type="range" id="${id}-${name}" min="0" max="${values.length - 1}" step="1" ` +
      `value="${Math.max(0, values.indexOf(at))}"><span class="value" aria-hidden="true"></span></div>`;
    const options = labels.length > 1 ? [...labels, ALL] : [];
    const menu = options.length === 0 ? "" :
      `<div class="control"><label for="${id}-menu">${escape(name(data.menu))}</label>` +
      `<select id="${id}-menu">` +
      options.map((o) => `<option value="${escape(o)}">${escape(name(o) || WORDS.all)}</option>`)
        .join("") +
      `</select></div>`;
    panel.insertAdjacentHTML("beforeend",
      slider("hidden", WORDS.hiddenSize, data.sizes, data.size) +
      slider("rate", WORDS.learningRate, data.rates, data.rate) + menu +
      `<div class="picture"></div><div class="rows"></div>` +
      `<p class="said" role="status"></p>` +
      `<p class="made">${WORDS.made(`<span lang="en">${escape(data.made)}</span>`)}</p>`);
    const [hidden, rate] = panel.querySelectorAll("input");
    const choice = panel.querySelector("select");
    if (choice) choice.value = ALL;

    function show() {
      for (const [input, values] of [[hidden, data.sizes], [rate, data.rates]]) {
        const text = `${values[input.value]}`;
        input.setAttribute("aria-valuetext", text);
        input.nextElementSibling.textContent = text;
      }
      const width = Math.min(660, Math.max(300, panel.clientWidth)); // so that words stay legible
      panel.querySelector(".picture").innerHTML = draw(data, runs, newest, width);
      const list = panel.querySelector(".rows");
      list.textContent = "";
      for (const run of runs.toReversed()) {
        const item = document.createElement("div");
        item.className = "run";
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = "✕";
        button.setAttribute("aria-label", `${WORDS.remove}${WORDS.colon}${run.settings}`);
        button.onclick = () => {
          runs = runs.filter((other) => other !== run);
          show();
          (panel.querySelector(".rows button") ?? hidden).focus();
        };
        item.append(button);
        item.insertAdjacentHTML("beforeend", row(data, run));
        list.append(item);
      }
    }

    function choose() {
      const chosen = choice && choice.value !== ALL ? [choice.value] : labels;
      const [i, j] = [Number(hidden.value), Number(rate.value)];
      newest = chosen.map((label) => {
        const stored = data.runs[label][i][j];
        const epochs = stored.e ?? data.e;
        const settings = [name(label), WORDS.hidden(data.sizes[i]), WORDS.rate(data.rates[j])];
        return { ...stored, epochs, settings: settings.filter(Boolean).join(WORDS.comma) };
      });
      const names = newest.map((run) => run.settings);
      const others = runs.filter((run) => !names.includes(run.settings));
      const kept = others.slice(Math.max(0, others.length + newest.length - COLOURS.length));
      const free = COLOURS.map((_, slot) => slot)
        .filter((slot) => !kept.some((run) => run.slot === slot));
      newest.forEach((run, k) => (run.slot = free[k]));
      runs = [...kept, ...newest];
      show();
      panel.querySelector(".said").textContent =
        newest.map((run) => tell(run, data.epochs)).join("; ");
    }

    for (const control of [hidden, rate, choice]) {
      control?.addEventListener("input", choose);
    }
    choose();
    window.addEventListener("resize", show);
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".d2lmini-panel").forEach(start);
  });
})();
