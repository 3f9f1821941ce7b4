/* Files that the page hands out: as text, as SVG, and as they came. */

import { boxes, FONT, FONT_SIZE, height, ROW } from "./boxes.js";
import { visible } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";

export function follow(url, name) {
	const link = document.createElement("a");
	link.href = url;
	link.download = name;
	link.click();
}

export function save(name, type, parts) {
	const url = URL.createObjectURL(new Blob(parts, { type }));
	follow(url, name);
	setTimeout(() => URL.revokeObjectURL(url), 10000);
}

export function bytes(base64) {
	return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}

/* One line for each stack, root first; with a comparison, both numbers. */
export function collapsed(data, now, before) {
	const names = [];
	const lines = [];
	for (let f = 0; f < data.functionCount; f++) {
		names.push(visible(data.name(f)).replaceAll(";", ":"));
	}
	for (let n = 1; n < data.size; n++) {
		if (!now.own[n] && !before?.own[n]) continue;
		const stack = [];
		for (let up = n; up > 0; up = data.parent[up]) stack.push(names[data.functionOf[up]]);
		const numbers = before ? `${before.own[n]} ${now.own[n]}` : now.own[n];
		lines.push(`${stack.reverse().join(";")} ${numbers}\n`);
	}
	return lines;
}

function element(parent, name, attributes, text) {
	const made = document.createElementNS(SVG, name);
	for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
	if (text !== undefined) made.textContent = text;
	parent.append(made);
	return made;
}

export function svg(view, width, describe) {
	const tall = height(view.tree);
	const root = document.createElementNS(SVG, "svg");
	for (const [key, value] of Object.entries({
		xmlns: SVG, width, height: tall, viewBox: `0 0 ${width} ${tall}`,
	})) root.setAttribute(key, value);
	element(root, "rect", { width, height: tall, fill: view.palette.back });
	for (const box of boxes(view, width, [view.tree.firstRow, view.tree.lastRow])) {
		const g = element(root, "g", {});
		element(g, "title", {}, describe(box.node));
		element(g, "rect", {
			x: box.left.toFixed(2), y: box.top, height: ROW - 1,
			width: Math.max(0.1, box.width - 0.6).toFixed(2), fill: box.colour,
		});
		if (box.text) {
			element(g, "text", {
				x: (box.left + 3).toFixed(2), y: box.top + 13,
				"font-family": FONT, "font-size": FONT_SIZE,
				fill: box.found ? view.palette.foundText : view.palette.text,
			}, box.text);
		}
	}
	return new XMLSerializer().serializeToString(root);
}
