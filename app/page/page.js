// SPDX-License-Identifier: MIT
// Pointing at charts, and hiding runs. All that the page tells is there without it.
'use strict';
// A line's points in the chart's own pixels, and the value at a place of a scale.
function pointsOf(path) {
  const points = [];
  let x = 0, y = 0;
  for (const [, by, up] of path.getAttribute('d').matchAll(/[ml](-?\d+) ?(-?\d+)/g)) {
    x += Number(by);
    y += Number(up);
    points.push([x / 10, y / 10]);
  }
  return points;
}
function valueAt(scale, place) {
  const [low, high, from, to, log] = scale.split(' ').map(Number), share = (place - from) / (to - from);
  return log ? low * Math.pow(high / low, share) : low + share * (high - low);
}
// The value at a place, to as many digits as a pixel tells.
function shown(scale, place) {
  const value = valueAt(scale, place), pixel = Math.abs(valueAt(scale, place + 1) - value);
  return String(Number(value.toFixed(Math.min(12, Math.max(0, -Math.floor(Math.log10(pixel)))))));
}

function pointing(figure) {
  const svg = figure.querySelector('svg'), plot = figure.querySelector('.plot');
  if (!plot) return;
  const said = document.createElement('p');
  said.className = 'said soft only-script';
  said.setAttribute('role', 'status');
  figure.append(said);
  let lines = null;
  const dot = document.createElementNS('http://www.w3.org/2000/svg', 'circle');
  dot.setAttribute('r', 6);
  dot.setAttribute('style', 'fill:none;stroke:var(--focus);stroke-width:3');
  let line = 0, at = -1;
  const read = () => lines = lines || [...plot.querySelectorAll('.line')].map(path => ({path, points: pointsOf(path)}));
  const seen = one => one.path.style.display !== 'none' && one.points.length > 0;
  function tell() {
    const [x, y] = lines[line].points[at];
    dot.setAttribute('cx', x);
    dot.setAttribute('cy', y);
    svg.append(dot);
    said.textContent = `${lines[line].path.dataset.name}: ${shown(plot.dataset.y, y)} at ` +
      shown(plot.dataset.x, x);
  }
  svg.addEventListener('pointermove', event => {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    let best = 900;
    read().forEach((one, l) => seen(one) && one.points.forEach(([x, y], i) => {
      const far = (x - place.x) ** 2 + (y - place.y) ** 2;
      if (far < best) [best, line, at] = [far, l, i];
    }));
    if (best < 900) tell();
  });
  const box = figure.querySelector('.scroll');
  box.addEventListener('keydown', event => {
    const by = {ArrowLeft: -1, ArrowRight: 1}[event.key], other = {ArrowUp: -1, ArrowDown: 1}[event.key];
    if (!by && !other) return;
    const all = read().filter(seen);
    if (all.length === 0) return;
    event.preventDefault();
    let n = Math.max(0, all.indexOf(lines[line]));
    if (other) n = (n + other + all.length) % all.length;
    line = lines.indexOf(all[n]);
    at = Math.max(0, Math.min(lines[line].points.length - 1, at + (by || 0)));
    tell();
  });
}

function filtering(box) {
  box.hidden = false;
  box.addEventListener('change', event => {
    const series = event.target.value;
    document.querySelectorAll(`[data-series="${series}"]`).forEach(one => {
      one.style.display = event.target.checked ? '' : 'none';
    });
  });
}

document.querySelectorAll('figure').forEach(pointing);
document.querySelectorAll('.hint').forEach(hint => { hint.hidden = false; });
document.querySelectorAll('.filter').forEach(filtering);
if (document.documentElement.dataset.refresh) {
  const place = 'place of ' + location.pathname;
  try {
    scrollTo(0, Number(sessionStorage.getItem(place)));
    addEventListener('pagehide', () => sessionStorage.setItem(place, scrollY));
  } catch { /* a browser that keeps nothing */ }
  setTimeout(() => location.reload(), 1000 * document.documentElement.dataset.refresh);
}
