/* What is to be drawn of a tree in a window: boxes with colour and words. The
 * canvas and the SVG file both draw these and nothing else. */

import { visible } from "./text.js";

export const ROW = 18; /* pixels */
export const LETTER = 7; /* pixels: the font is of one width */
export const FONT_SIZE = "11.6px";
export const FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace";
const NARROWEST = 1; /* pixels */

/* view: a View. rows: from the first to the last of them that are wanted. */
export function boxes(view, pixels, [top, bottom]) {
	const { tree, from, to } = view;
	const scale = pixels / (to - from);
	const out = [];
	tree.visit({ from, to, top, bottom }, NARROWEST / scale, (node) => {
		const left = Math.max(0, (tree.x[node] - from) * scale);
		const right = Math.min(pixels, (tree.x[node] + tree.width[node] - from) * scale);
		const f = view.functionOf(node);
		const found = f >= 0 && view.found !== null && view.found.has(f);
		out.push({
			node,
			found,
			left,
			top: (tree.row[node] - tree.firstRow) * ROW,
			width: right - left,
			colour: found ? view.palette.found : colour(view, node, f),
			text: words(view.title(node), right - left),
		});
	});
	return out;
}

function colour({ tree, palette }, node, f) {
	if (tree.before) return palette.difference(changed(tree, node));
	return f < 0 ? palette.back : palette.function(f);
}

/* How much more of the greater whole than before, from -1 to 1. */
export function changed(tree, node) {
	const whole = Math.max(tree.total[0], tree.before[0]) || 1;
	return (tree.total[node] - tree.before[node]) / whole;
}

function words(name, width) {
	const letters = Math.floor((width - 6) / LETTER);
	if (letters < 2) return "";
	/* Only so much of a long name is looked at as there is room. */
	const start = visible(name.slice(0, letters + 1));
	return start.length <= letters ? start : `${start.slice(0, letters - 1)}\u2026`;
}

export function height(tree) {
	return (tree.lastRow - tree.firstRow + 1) * ROW;
}
