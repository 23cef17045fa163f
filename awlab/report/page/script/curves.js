// Learning curves: one line per cell with a band over its runs, drawn by uPlot.
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const curves = data.curves;
  const chart = document.getElementById("chart");
  if (!curves || !chart) return;

  const COLOURS = 8;
  const SHOWN_AT_FIRST = 8;
  const DASHES = [[], [8, 5], [2, 4]];
  const FONT = `12px ${getComputedStyle(document.body).fontFamily}`;
  const EPOCHS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];
  const METRICS = {
    "val/top1_error": "Validation error, %",
    "val/map": "Validation AP, %",
    "val/map_50": "Validation AP50, %",
    "val/map_75": "Validation AP75, %",
    "val/top5_error": "Validation top-5 error, %",
    "train/top1_error": "Training error, %",
    "train/top5_error": "Training top-5 error, %",
    "val/loss": "Validation loss",
    "train/loss": "Training loss",
  };
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const baseline = data.results.baseline;
  const names = Object.keys(curves.bands).sort((a, b) => (b === baseline) - (a === baseline));
  // The baseline has the colour of ink; the others share the rest, then begin to be dashed.
  const cells = names.map((name, i) => {
    const place = i - (names[0] === baseline ? 1 : 0);
    return {
      name,
      label: data.labels[name],
      colour: place < 0 ? "--c0" : `--c${1 + (place % (COLOURS - 1))}`,
      dash: DASHES[Math.floor(Math.max(place, 0) / (COLOURS - 1)) % DASHES.length],
      shown: i < SHOWN_AT_FIRST,
    };
  });
  let metric = curves.metrics[0];
  let logarithmic = false;
  let atEnd = false;
  let plot = null;
  const lastQuarter = curves.epochs[Math.floor(curves.epochs.length * 0.75)];

  function columns() {
    const empty = curves.epochs.map(() => null);
    const all = [curves.epochs];
    for (const cell of cells) {
      const band = curves.bands[cell.name][metric];
      all.push(...(band ? [band.mean, band.high, band.low] : [empty, empty, empty]));
    }
    return all;
  }

  function series(cell) {
    const edge = { show: cell.shown, width: 0, points: { show: false } };
    const mean = {
      show: cell.shown,
      stroke: () => style(cell.colour),
      width: cell.colour === "--c0" ? 2 : 1.5,
      dash: cell.dash,
      points: { show: curves.epochs.length < 2, size: 7 },
    };
    return [mean, edge, { ...edge }];
  }

  function axis(extra) {
    return {
      stroke: () => style("--faint"),
      grid: { stroke: () => style("--soft"), width: 1 },
      ticks: { show: false },
      font: FONT,
      ...extra,
    };
  }

  function draw() {
    if (plot) plot.destroy();
    const options = {
      width: chart.clientWidth,
      height: 340,
      scales: { x: { time: false }, y: { distr: logarithmic ? 3 : 1 } },
      series: [{}, ...cells.flatMap(series)],
      bands: cells.map((cell, i) => ({
        series: [3 * i + 2, 3 * i + 3],
        fill: () => `${style(cell.colour)}24`,
      })),
      axes: [
        axis({ label: "epoch", labelSize: 20, labelGap: -6, labelFont: FONT, size: 34, space: 70, incrs: EPOCHS }),
        axis({ size: 52 }),
      ],
      legend: { show: false },
      cursor: { points: { show: false }, y: false },
      hooks: { setCursor: [values] },
    };
    plot = new uPlot(options, columns(), chart);
    if (atEnd) plot.setScale("x", { min: lastQuarter, max: curves.epochs.at(-1) });
    values(plot);
  }

  // Each chip says the mean of its cell: under the pointer, else the last one.
  function values(u) {
    cells.forEach((cell, i) => {
      const means = u.data[3 * i + 1];
      const value = u.cursor.idx == null ? means.findLast((v) => v != null) : means[u.cursor.idx];
      cell.output.textContent = value == null ? "\u2013" : value.toPrecision(4);
    });
  }

  function press(button, pressed) {
    button.setAttribute("aria-pressed", String(pressed));
  }

  function add(parent, text, action) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(text);
    button.addEventListener("click", action);
    parent.append(button);
    return button;
  }

  function show(cell, shown) {
    cell.shown = shown;
    press(cell.button, shown);
    const first = 3 * cells.indexOf(cell) + 1;
    for (let k = first; k < first + 3; k++) plot.setSeries(k, { show: shown });
  }

  function addControls() {
    const controls = document.getElementById("metrics");
    const buttons = curves.metrics.map((name) =>
      add(controls, METRICS[name] || name, () => {
        metric = name;
        buttons.forEach((b, i) => press(b, curves.metrics[i] === metric));
        draw();
      }),
    );
    buttons.forEach((b, i) => press(b, curves.metrics[i] === metric));
    toggle(controls, "Log scale", (on) => (logarithmic = on));
    if (curves.epochs.length > 8) toggle(controls, "Last quarter", (on) => (atEnd = on));
  }

  function toggle(parent, text, set) {
    const button = add(parent, text, () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      press(button, on);
      set(on);
      draw();
    });
    button.classList.add("toggle");
    press(button, false);
  }

  function addChips() {
    const chips = document.getElementById("cells");
    for (const cell of cells) {
      cell.button = add(chips, cell.label, () => show(cell, !cell.shown));
      cell.output = document.createElement("output");
      cell.button.append(cell.output);
      cell.button.style.setProperty("--chip", `var(${cell.colour})`);
      press(cell.button, cell.shown);
    }
    if (cells.length > 2) {
      const all = (shown) => plot.batch(() => cells.forEach((cell) => show(cell, shown)));
      add(chips, "all", () => all(true)).classList.add("all");
      add(chips, "none", () => all(false)).classList.add("all");
    }
  }

  addControls();
  addChips();
  draw();
  document.addEventListener("themechange", () => plot.redraw(false));
  new ResizeObserver(() => {
    if (chart.clientWidth !== plot.width) plot.setSize({ width: chart.clientWidth, height: 340 });
  }).observe(chart);
  addEventListener("beforeprint", () => plot.setSize({ width: 660, height: 300 }));
  addEventListener("afterprint", () => plot.setSize({ width: chart.clientWidth, height: 340 }));
})();
