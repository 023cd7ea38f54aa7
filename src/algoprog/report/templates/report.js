"use strict";
(async () => {
  const data = JSON.parse(document.getElementById("chart-data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = () => innerWidth < 640;
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

  function logTicks() {
    const vals = [], labels = [], up = (n) => [...String(n)].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"["0123456789-".indexOf(c)]).join("");
    for (let e = -3; e < 30; e++) {
      for (const m of narrow() ? [1, 3] : [1, 2, 5]) {
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
        traces.push({...shared, x, y: arm.band.mean, line: {...line, width: 2}, hovertemplate: `%{y:.3f} nats at %{x:.4s}<br>mean of ${arm.band.n}`});
        const at = arm.band.crossing[axis];
        if (at != null) traces.push({
          ...shared, x: [at], y: [group.target], mode: "markers", showlegend: false, hovertemplate: "target reached at %{x:.4s}",
          marker: {size: 10, symbol: data.styles[arm.variant].symbol, color: line.color, line: {width: 1, color: color("--page")}},
        });
      }
      arm.broken.forEach((part, i) => traces.push({
        ...shared, x: part.costs[axis], y: part.loss, line: {...line, width: 1}, mode: "lines+markers", showlegend: !arm.band && i === 0,
        marker: {symbol: "x-thin-open", size: part.loss.map((_, j) => j === part.loss.length - 1 ? 10 : 0), color: line.color, line: {width: 2}},
        hovertemplate: "%{y:.3f} nats at %{x:.4s}<br>a seed that diverged",
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
    Plotly.react(place, lossTraces(group, axis), layout(
      {title: {text: text(data.costs[axis])}, ...(log ? {type: "log", ...logTicks()} : {type: "linear", exponentformat: "power"}), ...view.x},
      {title: {text: "validation loss (nats per token)"}, ...view.y},
      {title: {text: text(group.label), font: {size: 15}}, ...(target == null ? {} : {shapes: [line], annotations: [note]})},
    ), config);
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
    Plotly.react(place, gainTraces(axis), layout(
      {title: {text: "training FLOPs of the baseline"}, type: "log", tickvals: ticks,
        ticktext: data.gains.map((g, i) => `${text(g.label)}<br>${g.compute_text}`),
        range: [Math.log10(Math.min(...ticks) / side), Math.log10(Math.max(...ticks) * side)]},
      {title: {text: `CEG in ${text(data.costs[axis])}`}, type: "log", tickvals: [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 4, 6, 10, 20, 50, 100]},
      {shapes: [one]},
    ), config);
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
    document.querySelectorAll(".controls").forEach((controls) => (controls.hidden = false));
    const again = () => draws.forEach((draw) => draw());
    document.querySelectorAll(".controls select, .controls input").forEach((control) => control.addEventListener("change", again));
    dark.addEventListener("change", again);
  } catch (error) {
    console.warn("The charts stay as drawn:", error);  // an old browser keeps the static figures
  }
})();
