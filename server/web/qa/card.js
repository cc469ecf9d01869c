// Draws a card: phases and slices in a grid of one scale, what they are, the corner ticks, and where in the body it is.

const INK = "#c3ccd1";
const FAINT = "#aab5bb";
const TICK = "#ffc94d";
const TICK_EDGE = "rgba(0, 0, 0, 0.75)";
const GAP = 3;
const TICK_REACH = 1.75; // of the box; between 1.5 and 2
const NAMES = { nc: "No contrast", arterial: "Arterial", venous: "Venous", delayed: "Delayed" };

/** @param {string} phase */
export const phaseName = (phase) => NAMES[phase] || phase;

/**
 * How a grid of phases and slices fits best: phases in rows or in columns.
 * @param {number} width @param {number} height @param {number} phases @param {number} slices
 * @returns {{tile: number, columns: number, rows: number, across: boolean}} across: whether phases are the columns
 */
export function fit(width, height, phases, slices) {
  const tile = (columns, rows) => Math.floor(Math.min((width - GAP * (columns - 1)) / columns, (height - GAP * (rows - 1)) / rows));
  const across = tile(phases, slices) >= tile(slices, phases);
  const [columns, rows] = across ? [phases, slices] : [slices, phases];
  return { tile: Math.max(48, tile(columns, rows)), columns, rows, across };
}

/** Make a canvas as sharp as the screen. @param {HTMLCanvasElement} canvas */
export function sized(canvas, width, height) {
  const ratio = devicePixelRatio || 1;
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d", { alpha: false });
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/** Text with a dark edge, so that it is readable on any grey. */
export function words(context, text, x, y, { colour = INK, size = 13, align = "left", base = "alphabetic" } = {}) {
  context.font = `${size}px system-ui, sans-serif`;
  context.textAlign = align;
  context.textBaseline = base;
  context.lineWidth = 3;
  context.lineJoin = "round";
  context.strokeStyle = TICK_EDGE;
  context.strokeText(text, x, y);
  context.fillStyle = colour;
  context.fillText(text, x, y);
}

/** Slices that are shown when the middle one is a column of the picture. */
export const shownColumns = (layout, middle, count) => {
  const half = Math.floor(Math.min(count, layout.slices.length) / 2);
  const first = Math.max(0, Math.min(middle - half, layout.slices.length - (2 * half + 1)));
  return Array.from({ length: Math.min(2 * half + 1, layout.slices.length) }, (_, n) => first + n);
};

/**
 * @param {HTMLCanvasElement} canvas
 * @param {?ImageBitmap} picture nothing is drawn but the frame while it is not there
 * @param {import("./api.js").CardLayout} layout
 * @param {{width: number, height: number, middle: number, ticks: boolean, preset: import("./api.js").WindowPreset, slices: number, plain?: boolean}} shown plain: pictures and ticks without words
 */
export function drawCard(canvas, picture, layout, { width, height, middle, ticks, preset, slices, plain }) {
  const columns = shownColumns(layout, middle, slices);
  const grid = fit(width, height, layout.phases.length, columns.length);
  const step = grid.tile + GAP;
  const context = sized(canvas, grid.columns * step - GAP, grid.rows * step - GAP);
  context.fillStyle = "#000";
  context.fillRect(0, 0, grid.columns * step, grid.rows * step);
  if (!picture) return;
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "medium";
  const scale = grid.tile / layout.tile_px;
  layout.phases.forEach((phase, row) => {
    const missing = layout.missing.includes(phase);
    columns.forEach((column, place) => {
      const [x, y] = grid.across ? [row * step, place * step] : [place * step, row * step];
      const side = layout.tile_px;
      context.drawImage(picture, column * side, row * side, side, side, x, y, grid.tile, grid.tile);
      const isKey = column === layout.key;
      if (isKey) {
        context.strokeStyle = "#5b6870";
        context.lineWidth = 1.5;
        context.strokeRect(x + 0.75, y + 0.75, grid.tile - 1.5, grid.tile - 1.5);
      }
      if (row === 0 && !plain) {
        const offset = layout.offsets_mm[column];
        const told = isKey ? "key slice" : `${Math.abs(offset).toFixed(1)} mm ${offset > 0 ? "cranial" : "caudal"}`;
        words(context, told, x + grid.tile - 7, y + 18, { size: 12, align: "right", colour: isKey ? INK : FAINT });
      }
      if (place === 0 && !plain) words(context, phaseName(phase), x + 7, y + 18, { size: 14 });
      if (missing) return;
      if (place === 0 && !plain) words(context, `L ${preset.levels[phase]} W ${preset.width}`, x + 7, y + 34, { size: 11, colour: FAINT });
      const k = layout.slices[column];
      if (ticks) drawTicks(context, layout.box, x, y, scale, [grid.tile, grid.tile], k >= layout.inside[0] && k <= layout.inside[1]);
    });
  });
  if (plain) return;
  drawScale(context, layout.mm_per_px / scale, 8, grid.rows * step - GAP - 10);
  const [x, y] = columns.length < 2 ? [0, 0] : grid.across ? [0, step] : [step, 0]; // the second slice has room for letters
  words(context, layout.left, x + 6, y + grid.tile / 2, { size: 12, colour: FAINT, base: "middle" });
  words(context, layout.top, x + grid.tile / 2, y + 5, { size: 12, colour: FAINT, align: "center", base: "top" });
}

/** Corner ticks round a box, further out than the box so that they hide nothing of it. */
export function drawTicks(context, box, x, y, scale, [wide, high], inside) {
  const middle = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  const half = [0, 1].map((axis) => Math.max(((box[axis + 2] - box[axis]) / 2) * TICK_REACH, 10 / scale));
  const [left, right] = [-1, 1].map((side) => Math.min(Math.max((middle[0] + side * half[0]) * scale, 3), wide - 3) + x);
  const [top, bottom] = [-1, 1].map((side) => Math.min(Math.max((middle[1] + side * half[1]) * scale, 3), high - 3) + y);
  const reach = Math.max(6, Math.min(right - left, bottom - top) * 0.16);
  context.beginPath();
  for (const [cornerX, towards] of [[left, 1], [right, -1]]) {
    for (const [cornerY, down] of [[top, 1], [bottom, -1]]) {
      context.moveTo(cornerX + towards * reach, cornerY);
      context.lineTo(cornerX, cornerY);
      context.lineTo(cornerX, cornerY + down * reach);
    }
  }
  context.setLineDash(inside ? [] : [2, 3]);
  for (const [style, width] of [[TICK_EDGE, 4], [TICK, 1.75]]) {
    context.strokeStyle = style;
    context.lineWidth = width;
    context.stroke();
  }
  context.setLineDash([]);
}

/** A bar of 10, 20, 50 or 100 mm. */
export function drawScale(context, mmPerPx, x, y) {
  const length = [100, 50, 20, 10, 5].find((mm) => mm / mmPerPx <= 90) || 5;
  context.fillStyle = TICK_EDGE;
  context.fillRect(x - 1, y - 1, length / mmPerPx + 2, 5);
  context.fillStyle = INK;
  context.fillRect(x, y, length / mmPerPx, 3);
  words(context, `${length} mm`, x, y - 5, { size: 11 });
}

/** Where in the body it is: the whole slice, and the plane from the front below it. */
export function drawLocators(canvas, picture, layout, width) {
  const gap = 6;
  const side = layout.tile_px;
  const planes = [layout.axial, layout.coronal];
  const heights = planes.map(({ plane: [left, top, right, bottom] }) => (width * (bottom - top)) / (right - left));
  const context = sized(canvas, width, Math.round(heights[0] + gap + heights[1]));
  context.fillStyle = "#0a0d0f";
  context.fillRect(0, 0, width, heights[0] + gap + heights[1]);
  if (!picture) return;
  planes.forEach((locator, number) => {
    const [left, top, right, bottom] = locator.plane;
    const scale = width / (right - left);
    const below = number * (heights[0] + gap);
    const place = (edges) => [(edges[0] - left) * scale, below + (edges[1] - top) * scale, (edges[2] - edges[0]) * scale, (edges[3] - edges[1]) * scale];
    context.drawImage(picture, number * side + left, layout.phases.length * side + top, right - left, bottom - top, 0, below, width, heights[number]);
    context.lineWidth = 1;
    context.strokeStyle = FAINT;
    context.strokeRect(...place(locator.crop));
    const [x, y, wide, high] = place(locator.box);
    context.strokeStyle = TICK;
    context.lineWidth = 1.5;
    context.strokeRect(x, y, Math.max(3, wide), Math.max(3, high));
  });
}
