// Modules fold: a small box stands for what is inside, and the picture closes up around it.
//
// Rows and columns that only hid parts took up are cut out. What is seen moves as a whole, and
// edges that led inside lead to the box.
"use strict";
const SVG = "http://www.w3.org/2000/svg";
const GAP = 6;
const title = (group) => group.querySelector("title")?.textContent ?? "";
const area = (part) => {
  const { x, y, width, height } = part.getBBox();
  return { left: x, top: y, right: x + width, bottom: y + height };
};
const joined = (areas) => ({
  left: Math.min(...areas.map((a) => a.left)), top: Math.min(...areas.map((a) => a.top)),
  right: Math.max(...areas.map((a) => a.right)), bottom: Math.max(...areas.map((a) => a.bottom)),
});
const middle = (a) => [(a.left + a.right) / 2, (a.top + a.bottom) / 2];
const holds = (a, [x, y]) => x > a.left && x < a.right && y > a.top && y < a.bottom;

class Folding {
  constructor(picture) {
    const all = (selector) => [...picture.querySelectorAll(selector)];
    this.root = picture.querySelector("g.graph");
    this.nodes = all("g.node").map((group) => ({ group, name: title(group), at: area(group) }));
    const named = new Map(this.nodes.map((node) => [node.name, node]));
    const modules = all("g.cluster").filter((group) => group.querySelector("text"));
    this.boxes = modules.map((group) => this.box(group));
    for (const box of this.boxes) {
      box.inside = this.boxes.filter((one) => one !== box && holds(box.at, middle(one.at))
        && one.at.right - one.at.left < box.at.right - box.at.left);
      box.nodes = this.nodes.filter((node) => holds(box.at, middle(node.at)));
    }
    this.edges = all("g.edge").map((group) => this.edge(group, named)).filter((edge) => edge);
    [...this.nodes, ...this.boxes].forEach((thing, k) => { thing.id = k; });
    const parts = [...this.root.children].filter((part) => !part.matches("g.node, g.cluster, g.edge"));
    this.legend = parts.slice(parts.findIndex((part) => part.tagName === "polygon") + 1);
    this.whole = area(this.root);
  }

  // What is known of a box: its outline becomes a rectangle, which can take any size.
  box(group) {
    const outline = group.querySelector("path, polygon");
    const texts = [...group.querySelectorAll("text")];
    const rect = document.createElementNS(SVG, "rect");
    for (const name of ["fill", "stroke", "stroke-dasharray"]) {
      if (outline.hasAttribute(name)) rect.setAttribute(name, outline.getAttribute(name));
    }
    rect.setAttribute("rx", 8);
    const at = area(outline);
    outline.replaceWith(rect);
    const words = texts.length ? joined(texts.map(area)) : { ...at, bottom: at.top };
    const box = { group, rect, texts, at, words, folded: false };
    const half = Math.max(24, (words.right - words.left) / 2 + 10), [x] = middle(at);
    box.small = { left: x - half, right: x + half, top: at.top, bottom: words.bottom + words.top - at.top };
    return box;
  }

  edge(group, named) {
    const ends = title(group).split("->").map((name) => named.get(name));
    const path = group.querySelector("path");
    if (!path || ends.length !== 2 || !ends.every((end) => end)) return null;
    const d = path.getAttribute("d"), numbers = d.match(/-?[\d.]+/g).map(Number);
    const tip = group.querySelector("polygon"), label = [...group.querySelectorAll("text")];
    const edge = { group, ends, path, d, tip, label, across: group.classList.contains("across") };
    if (tip) {
      const [x, y] = middle(area(tip));
      const far = (k) => Math.hypot(numbers.at(k) - x, numbers.at(k + 1) - y);
      edge.back = Math.hypot(numbers[0] - x, numbers[1] - y) < far(-2);
      edge.points = tip.getAttribute("points");
    }
    return edge;
  }

  // Return the outermost folded box that something is in; none where it is seen.
  over(thing) {
    const folded = this.boxes.filter((box) => box.folded
      && (box.nodes.includes(thing) || box.inside.includes(thing)));
    return folded.find((box) => !folded.some((one) => one.inside.includes(box)));
  }

  // Put everything where it belongs now; return where each coordinate has gone.
  arrange() {
    const over = new Map([...this.nodes, ...this.boxes].map((one) => [one, this.over(one)]));
    const kept = this.nodes.filter((node) => !over.get(node)).map((node) => node.at), free = [];
    for (const box of this.boxes.filter((one) => !over.get(one))) {
      if (box.folded) {
        kept.push(box.small);
        free.push([box.at, box.small]);
      } else {
        kept.push(box.words);
      }
    }
    for (const edge of this.edges) {
      if (!edge.ends.some((end) => over.get(end))) kept.push(...edge.label.map(area));
    }
    const cut = (low, high) => cuts(
      free.flatMap(([at, small]) => [[at[low], small[low]], [small[high], at[high]]]),
      kept.map((one) => [one[low] - GAP, one[high] + GAP]));
    const x = cut("left", "right"), y = cut("top", "bottom");
    const shift = (part, [px, py]) =>
      part.setAttribute("transform", `translate(${x(px) - px} ${y(py) - py})`);

    for (const node of this.nodes) {
      node.group.classList.toggle("inside", Boolean(over.get(node)));
      shift(node.group, middle(node.at));
    }
    for (const box of this.boxes) {
      box.group.classList.toggle("inside", Boolean(over.get(box)));
      box.group.classList.toggle("folded", box.folded);
      box.group.setAttribute("aria-expanded", String(!box.folded));
      const at = box.folded ? box.small : box.at;
      const left = x(at.left), top = y(at.top);
      box.rect.setAttribute("x", left);
      box.rect.setAttribute("y", top);
      box.rect.setAttribute("width", x(at.right) - left);
      box.rect.setAttribute("height", y(at.bottom) - top);
      const centered = box.folded ? middle(box.small)[0] - middle(box.words)[0] : 0;
      const from = middle(box.folded ? box.small : box.words);
      const dx = x(from[0]) - from[0] + centered, dy = y(box.words.top) - box.words.top;
      box.texts.forEach((text) => text.setAttribute("transform", `translate(${dx} ${dy})`));
    }
    const place = (node) => {
      const at = over.get(node)?.small ?? node.at, [mx, my] = middle(at);
      const dx = x(mx) - mx, dy = y(my) - my;
      return { left: at.left + dx, right: at.right + dx, top: at.top + dy, bottom: at.bottom + dy };
    };
    const drawn = new Set();
    for (const edge of this.edges) {
      const [a, b] = edge.ends.map((end) => over.get(end) ?? end);
      const led = a !== edge.ends[0] || b !== edge.ends[1];
      const key = [a.id, b.id, edge.path.getAttribute("stroke-dasharray")].join();
      const gone = led && (a === b || drawn.has(key));
      if (led) drawn.add(key);
      edge.group.classList.toggle("inside", gone);
      if (gone) continue;
      if (led) this.lead(edge, edge.ends.map(place), edge.ends.map((end) => over.get(end)), x, y);
      else this.bend(edge, x, y, shift);
    }
    for (const part of this.legend) shift(part, [this.whole.left, this.whole.bottom]);
    return { x, y };
  }

  // An edge between what is seen moves with it, point by point.
  bend(edge, x, y, shift) {
    let k = 0;
    const moved = edge.d.replace(/-?[\d.]+/g, (n) => (k++ % 2 ? y : x)(Number(n)).toFixed(2));
    edge.path.setAttribute("d", moved);
    if (edge.tip) {
      edge.tip.setAttribute("points", edge.points);
      const points = edge.d.match(/-?[\d.]+/g).map(Number);
      shift(edge.tip, edge.back ? points.slice(0, 2) : points.slice(-2));
    }
    for (const text of edge.label) {
      text.classList.remove("inside");
      shift(text, middle(area(text)));
    }
  }

  // An edge that led inside goes as it went, up to the box that it meets; between lanes, right on.
  lead(edge, [a, b], hidden, x, y) {
    const [ax, ay] = middle(a), [bx, by] = middle(b);
    const way = edge.across ? [Math.sign(bx - ax), 0] : [0, Math.sign(by - ay)];
    const side = (at, sign) => middle(at).map((one, k) =>
      one + sign * way[k] * (k ? at.bottom - at.top : at.right - at.left) / 2);
    const from = side(a, 1), to = side(b, -1);
    const turn = Math.max(12, Math.hypot(to[0] - from[0], to[1] - from[1]) / 3);
    const out = (point, sign) => point.map((one, k) => one + sign * way[k] * turn);
    let points = [from, out(from, 1), out(to, -1), to];
    if (!edge.across) {
      const old = edge.d.match(/-?[\d.]+/g).map(Number), pairs = [];
      while (old.length) pairs.push(old.splice(0, 2));
      const last = pairs.length - 1;
      const outside = (box, k) => !box || !holds(box.at, pairs[k]);
      let start = 0, end = last;
      while (start < last && !outside(hidden[0], start + 3)) start += 3;
      while (end > start + 3 && !outside(hidden[1], end - 3)) end -= 3;
      if (end - start > 3) {
        points = pairs.slice(start, end + 1).map(([px, py]) => [x(px), y(py)]);
        if (hidden[0]) points.splice(0, 2, from, out(from, 1));
        if (hidden[1]) points.splice(-2, 2, out(to, -1), to);
      }
    }
    edge.path.setAttribute("d", `M${points[0]}C${points.slice(1).join(" ")}`);
    if (edge.tip) {
      const end = edge.back ? points[0] : points.at(-1);
      const [ux, uy] = way.map((one) => (edge.back ? -one : one));
      const base = [end[0] - 6 * ux, end[1] - 6 * uy];
      edge.tip.removeAttribute("transform");
      edge.tip.setAttribute("points", `${end} ${base[0] - 2.2 * uy},${base[1] + 2.2 * ux} `
        + `${base[0] + 2.2 * uy},${base[1] - 2.2 * ux}`);
    }
    for (const text of edge.label) {
      const [lx, ly] = middle(area(text));
      text.classList.toggle("inside", edge.across);  // a letter of a formula that may be hidden
      text.setAttribute("transform",
        `translate(${(from[0] + to[0]) / 2 + 16 - lx} ${(from[1] + to[1]) / 2 - ly})`);
    }
  }
}

// Return what a coordinate becomes when all that is free, and not kept, is cut out.
function cuts(free, kept) {
  const ends = [...free, ...kept].flat().sort((a, b) => a - b);
  const gone = [];
  ends.slice(0, -1).forEach((low, k) => {
    const high = ends[k + 1], at = (low + high) / 2;
    const within = ([start, end]) => start < at && at < end;
    if (high > low && free.some(within) && !kept.some(within)) gone.push([low, high]);
  });
  return (n) => n - gone.reduce((sum, [low, high]) =>
    sum + Math.max(0, Math.min(n, high) - low), 0);
}
