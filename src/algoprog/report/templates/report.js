"use strict";
(async () => {
  const data = JSON.parse(document.getElementById("chart-data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const phone = matchMedia("(max-width: 639px)"), narrow = () => phone.matches;
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const entity = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"};
  const text = (name) => name.replace(/[&<>"]/g, (c) => entity[c]);  // plotly reads names as markup
  const config = {responsive: true, displaylogo: false, modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]]};
  const look = (variant) => ({dash: data.styles[variant].dash, color: data.styles[variant].color || color("--ink")});

  async function unpack() {
    const packed = Uint8Array.from(atob(document.getElementById("plotting-library").textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  }

  function layout(x, y, more) {
    const axis = {gridcolor: color("--line"), linecolor: color("--soft"), zeroline: false, ticks: "outside", automargin: true};
    return {
      height: narrow() ? 420 : 460, margin: {l: 60, r: 12, t: 40, b: narrow() ? 150 : 110}, hovermode: "closest",
      dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",  // a finger must be able to scroll past
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: {color: color("--ink"), size: 13, family: "system-ui, sans-serif"},
      legend: {orientation: "h", yref: "container", y: 0, yanchor: "bottom"},
      modebar: {bgcolor: "rgba(0,0,0,0)", color: color("--line"), activecolor: color("--ink"), orientation: "h"},
      hoverlabel: {bgcolor: color("--panel"), bordercolor: color("--line"), font: {color: color("--ink")}, namelength: -1},
      xaxis: {...axis, ...x}, yaxis: {...axis, ...y}, ...more,
    };
  }

  function plot(place, traces, more) {  // on a phone the legend is text below the figure, which wraps and is never cut off
    const named = traces.filter((t) => t.showlegend !== false), below = narrow() && more.showlegend !== false && named.length > 1;
    const fitted = below ? {...more, showlegend: false, height: more.height - more.margin.b + 60, margin: {...more.margin, b: 60}} : more;
    Plotly.react(place, traces, fitted, config);
    place.nextElementSibling?.remove();
    if (!below) return;
    const list = document.createElement("ul");
    list.className = "legend";
    for (const trace of named) {
      const button = document.createElement("button"), swatch = document.createElement("span"), item = document.createElement("li");
      const members = traces.flatMap((t, i) => (t.legendgroup ?? t.name) === (trace.legendgroup ?? trace.name) ? [i] : []);
      const dashes = {dot: "dotted", dash: "dashed", dashdot: "dashed"}, kind = dashes[trace.line?.dash] ?? "solid";
      swatch.style.borderTop = `3px ${kind} ${trace.line?.color ?? trace.marker?.color}`;
      button.type = "button";
      button.ariaPressed = "true";
      button.innerHTML = trace.name;  // escaped by text()
      button.prepend(swatch);
      button.addEventListener("click", () => {
        const shown = button.ariaPressed !== "true";
        button.ariaPressed = String(shown);
        Plotly.restyle(place, {visible: shown}, members);
      });
      item.append(button);
      list.append(item);
    }
    place.after(list);
  }

  function logTicks(steps = narrow() ? [1, 3] : [1, 2, 5]) {
    const vals = [], labels = [], up = (n) => [...String(n)].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"["0123456789-".indexOf(c)]).join("");
    for (let e = -3; e < 30; e++) {
      for (const m of steps) {
        vals.push(m * 10 ** e);
        labels.push(e < 5 ? String(m * 10 ** e) : (m > 1 ? `${m}×` : "") + "10" + up(e));
      }
    }
    return {tickmode: "array", tickvals: vals, ticktext: labels};
  }

  function lossTraces(group, axis) {
    const traces = [];
    for (const arm of group.arms) {
      const line = look(arm.variant), name = text(arm.variant), shared = {legendgroup: arm.variant, name, mode: "lines"};
      if (arm.band) {
        const x = arm.band.costs[axis], range = {...shared, x, line: {width: 0}, hoverinfo: "skip", showlegend: false};
        if (arm.band.n > 1) {
          traces.push({...range, y: arm.band.low}, {...range, y: arm.band.high, fill: "tonexty", fillcolor: line.color + "2b"});
        }
        traces.push({...shared, x, y: arm.band.mean, line: {...line, width: 2}, hovertemplate: `%{y:.3f} ${group.short} at %{x:.4s}<br>mean of ${arm.band.n}`});
        const at = arm.band.crossing[axis];
        if (at != null) traces.push({
          ...shared, x: [at], y: [group.target], mode: "markers", showlegend: false, hovertemplate: "target reached at %{x:.4s}",
          marker: {size: 10, symbol: data.styles[arm.variant].symbol, color: line.color, line: {width: 1, color: color("--page")}},
        });
      }
      arm.broken.forEach((part, i) => traces.push({
        ...shared, x: part.costs[axis], y: part.loss, line: {...line, width: 1}, mode: "lines+markers", showlegend: !arm.band && i === 0,
        marker: {symbol: "x-thin-open", size: part.loss.map((_, j) => j === part.loss.length - 1 ? 10 : 0), color: line.color, line: {width: 2}},
        hovertemplate: `%{y:.3f} ${group.short} at %{x:.4s}<br>a seed that diverged`,
      }));
    }
    return traces;
  }

  function lossView(group, axis, log) {
    let end = 0, low = Infinity, high = -Infinity;
    const bands = group.arms.map((arm) => arm.band).filter(Boolean);
    for (const band of bands) end = Math.max(end, band.costs[axis].at(-1));
    for (const band of bands) {
      band.mean.forEach((y, i) => { if (band.costs[axis][i] >= end / 60) { low = Math.min(low, y); high = Math.max(high, y); } });
    }
    if (!(high > low)) return {x: {}, y: {}};
    const margin = 0.05 * (high - low);
    const x = log ? [Math.log10(end / 60), Math.log10(end * 1.15)] : [0, end * 1.02];
    return {x: {range: x}, y: {range: [low - margin, high + margin]}};
  }

  function drawLoss(place, group) {
    const axis = document.getElementById("loss-axis").value, log = document.getElementById("loss-log").checked;
    const view = lossView(group, axis, log), target = group.target;
    const line = {type: "line", xref: "paper", x0: 0, x1: 1, y0: target, y1: target, line: {dash: "dot", width: 1.5, color: color("--ink")}};
    const note = {xref: "paper", x: 0, xanchor: "left", y: target, yanchor: "bottom", text: `target ${(target ?? 0).toFixed(3)}`, showarrow: false};
    plot(place, lossTraces(group, axis), layout(
      {title: {text: text(data.costs[axis])}, ...(log ? {type: "log", ...logTicks()} : {type: "linear", exponentformat: "power"}), ...view.x},
      {title: {text: `validation loss (${group.unit})`}, ...view.y},
      {title: {text: text(group.label), font: {size: 15}}, ...(target == null ? {} : {shapes: [line], annotations: [note]})},
    ));
  }

  const symbol = (variant, kind) => data.styles[variant].symbol + (kind === "primary" ? "" : "-open");
  function gainTraces(axis) {
    const variants = Object.keys(data.styles).filter((name) => data.gains.some((g) => g.points.some((p) => p.variant === name && p.cost === axis)));
    return variants.map((variant, i) => {
      const points = data.gains.flatMap((g, at) => g.points.filter((p) => p.variant === variant && p.cost === axis)
        .map((p) => ({...p, model: g.label, x: (g.compute ?? 10 ** at) * (1 + 0.05 * (i - (variants.length - 1) / 2))})));
      const line = look(variant), span = (high, low) => points.map((p) => p.low == null || p.high == null ? 0 : p[high] - p[low]);
      return {
        name: text(variant), x: points.map((p) => p.x), y: points.map((p) => p.ceg), mode: "lines+markers", line: {...line, width: 1.6},
        marker: {size: 10, color: line.color, symbol: points.map((p) => symbol(variant, p.kind)), line: {width: 2, color: line.color}},
        error_y: {type: "data", symmetric: false, array: span("high", "ceg"), arrayminus: span("ceg", "low"), color: line.color, thickness: 1.5, width: 0},
        text: points.map((p) => `${text(p.model)}<br>CEG ${p.ceg.toPrecision(4)} (${p.kind})` +
          (p.low == null || p.high == null ? "" : `<br>${p.low.toPrecision(4)} to ${p.high.toPrecision(4)}`)),
        hovertemplate: "%{text}",
      };
    });
  }

  function drawGain(place) {
    const axis = document.getElementById("gain-axis").value;
    const ticks = data.gains.map((g, at) => g.compute ?? 10 ** at);
    const side = ticks.length > 1 ? 1.7 : 1.3;
    const one = {type: "line", xref: "paper", x0: 0, x1: 1, y0: 1, y1: 1, line: {width: 1.5, color: color("--ink")}};
    plot(place, gainTraces(axis), layout(
      {title: {text: "training FLOPs of the baseline"}, type: "log", tickvals: ticks,
        ticktext: data.gains.map((g, i) => `${text(g.label)}<br>${g.compute_text}`),
        range: [Math.log10(Math.min(...ticks) / side), Math.log10(Math.max(...ticks) * side)]},
      {title: {text: `CEG in ${text(data.costs[axis])}`}, type: "log", tickvals: gainTicks},
      {shapes: [one]},
    ));
  }

  const gainTicks = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 4, 6, 10, 20, 50, 100, 1000];

  function seriesTraces(series, suffix, first) {
    const line = {dash: series.dash, color: series.color || color("--ink")}, n = series.x.length;
    const shared = {name: text(series.name), legendgroup: series.name, x: series.x, xaxis: "x" + suffix, yaxis: "y" + suffix};
    const known = (i) => series.low[i] != null && series.high[i] != null;
    const hover = series.y.map((y, i) => y == null ? "" : y.toPrecision(4) + (known(i) ? `<br>${series.low[i].toPrecision(4)} to ${series.high[i].toPrecision(4)}` : ""));
    const main = {...shared, y: series.y, showlegend: first, text: hover, hovertemplate: "%{text}"};
    if (series.kind === "line") {
      const edge = {...shared, mode: "lines", line: {width: 0}, hoverinfo: "skip", showlegend: false};
      const band = series.low.length ? [{...edge, y: series.low}, {...edge, y: series.high, fill: "tonexty", fillcolor: line.color + "2b"}] : [];
      return [...band, {...main, mode: "lines", line: {...line, width: 2}}];
    }
    const span = (a, b) => Array.from({length: n}, (_, i) => known(i) && series.y[i] != null ? a(i) - b(i) : 0);
    const y = (i) => series.y[i], low = (i) => series.low[i], high = (i) => series.high[i];
    return [{...main, mode: "markers", marker: {size: 9, color: line.color, symbol: series.symbol + (series.hollow ? "-open" : ""), line: {width: 1.5, color: line.color}},
      error_y: {type: "data", symmetric: false, array: span(high, y), arrayminus: span(y, low), color: line.color, thickness: 1.5, width: 0}}];
  }

  function panelRange(panels) {  // values and, up to a factor, their bars; a wide band may leave the view
    const values = panels.flatMap((p) => p.series.flatMap((s) => s.y)).filter((y) => y > 0);
    if (!values.length) return {};
    const limit = [Math.min(...values) / 4, Math.max(...values) * 4];
    const bars = panels.flatMap((p) => p.series.filter((s) => s.kind === "points").flatMap((s) => [...s.low, ...s.high]))
      .filter((v) => v > 0).map((v) => Math.min(Math.max(v, limit[0]), limit[1]));
    return {range: [Math.log10(Math.min(0.87, ...values, ...bars) * 0.92), Math.log10(Math.max(1.15, ...values, ...bars) * 1.08)]};
  }

  function thin(range) {  // ticks few enough to be read, 1 among them
    const inside = gainTicks.filter((t) => !range || (t >= 10 ** range[0] && t <= 10 ** range[1]));
    const step = Math.floor(inside.length / 9) + 1, kept = inside.filter((t) => (gainTicks.indexOf(t) - gainTicks.indexOf(1)) % step === 0);
    return {tickvals: kept, ticktext: kept.map(String)};
  }

  function drawChart(place, chart) {
    const columns = narrow() ? 1 : Math.min(chart.columns, chart.panels.length), rows = Math.ceil(chart.panels.length / columns);
    const base = layout({}, {}), more = {...base, shapes: [], annotations: []}, traces = [], seen = new Set();
    const height = narrow() ? 300 : 270;
    Object.assign(more, {height: rows * height + (chart.legend ? 130 : 90), grid: {rows, columns, pattern: "independent", xgap: 0.14, ygap: rows > 1 ? 0.3 : 0.1},
      margin: {...base.margin, t: 60, b: chart.legend ? 100 : 60}, showlegend: chart.legend});
    const places = chart.panels.flatMap((panel) => panel.series.flatMap((series) => series.x)), span = Math.max(...places) / Math.min(...places);
    chart.panels.forEach((panel, i) => {
      const view = panelRange(chart.share_y ? chart.panels : [panel]), suffix = i ? String(i + 1) : "", wide = panel.ticks.length > 0;
      for (const series of panel.series) {
        traces.push(...seriesTraces(series, suffix, !seen.has(series.name)));
        seen.add(series.name);
      }
      const labels = panel.ticks.map((t) => text(t[1]).replaceAll("+", "+<br>"));
      more["xaxis" + suffix] = {...base.xaxis, title: {text: i >= chart.panels.length - columns ? text(chart.x_title) : ""},
        ...(chart.log_x ? {type: "log", ...logTicks(span < 20 ? [1, 2, 5] : [1, 3])} : {}), ...(chart.falling_x ? {autorange: "reversed"} : {}),
        ...(wide ? {tickvals: panel.ticks.map((t) => t[0]), ticktext: labels, range: [panel.ticks[0][0] - 0.6, panel.ticks.at(-1)[0] + 0.6], showgrid: false} : {})};
      more["yaxis" + suffix] = {...base.yaxis, title: {text: chart.share_y && i % columns ? "" : text(panel.y_title)},
        ...(panel.log_y ? {type: "log", ...view, ...thin(view.range)} : {})};
      const across = {xref: `x${suffix} domain`, yref: "y" + suffix, x0: 0, x1: 1};
      if (panel.noise) more.shapes.push({type: "rect", ...across, y0: panel.noise[0], y1: panel.noise[1], fillcolor: "#8a8f98", opacity: 0.18, line: {width: 0}, layer: "below"});
      if (panel.reference != null) more.shapes.push({type: "line", ...across, y0: panel.reference, y1: panel.reference, line: {width: 1.5, color: color("--ink")}});
      more.annotations.push({text: text(panel.title), xref: `x${suffix} domain`, yref: `y${suffix} domain`, x: 0.5, y: 1, yanchor: "bottom", yshift: 4, showarrow: false, font: {size: 14}});
    });
    plot(place, traces, more);
  }

  try {
    await unpack();
    const draws = [];
    const upgrade = (figure, draw) => {
      const place = document.createElement("div");
      place.className = "live";
      figure.append(place);
      draws.push(() => draw(place));
      draw(place);
      figure.querySelector(".static").hidden = true;
    };
    const drawn = data.losses.filter((group) => group.arms.some((arm) => arm.band || arm.broken.length));
    document.querySelectorAll("[data-loss]").forEach((f) => upgrade(f, (place) => drawLoss(place, drawn[f.dataset.loss])));
    document.querySelectorAll("[data-gain]").forEach((f) => f.dataset.gain === "0" ? upgrade(f, drawGain) : (f.hidden = true));
    for (const chart of data.charts) {
      const figure = document.querySelector(`[data-chart="${chart.stem}"]`);
      if (figure) upgrade(figure, (place) => drawChart(place, chart));
    }
    document.querySelectorAll(".controls").forEach((controls) => (controls.hidden = false));
    const again = () => draws.forEach((draw) => draw());
    document.querySelectorAll(".controls select, .controls input").forEach((control) => control.addEventListener("change", again));
    for (const media of [dark, phone]) media.addEventListener("change", again);
  } catch (error) {
    console.warn("The charts stay as drawn:", error);  // an old browser keeps the static figures
  }
})();
