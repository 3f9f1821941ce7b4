/* What is seen at the moment: a tree with the words for its nodes, the window, and
 * what is marked. The canvas, the outline and the SVG file read it. */

import { percent, place, signed, visible } from "./text.js";

export class View {
	constructor(data, tree, { format, lines, palette }) {
		Object.assign(this, { data, tree, format, lines, palette });
		this.from = 0;
		this.to = 1;
		this.current = 0;
		this.found = null;
	}

	/* The function of a node; -1 for the root of whole stacks. */
	functionOf(node) {
		if (node === 0) return this.tree.pivot;
		const key = this.tree.key[node];
		return this.lines ? this.data.frames[2 * key] : key;
	}

	/* Its name as it came, which nobody should see before it is made visible. */
	title(node) {
		const f = this.functionOf(node);
		return f < 0 ? "all" : this.data.name(f);
	}

	place(node) {
		const f = this.functionOf(node);
		if (f < 0) return "";
		const line = this.lines && node > 0 ? this.data.frames[2 * this.tree.key[node] + 1]
			: this.data.startLine(f);
		return place(this.data.file(f), line);
	}

	describe(node) {
		const { tree, format } = this;
		const parts = [visible(this.title(node)), this.place(node)];
		parts.push(`total ${format(tree.total[node])} (${percent(tree.total[node], tree.total[0])})`);
		if (tree.row[node] >= 0) parts.push(`self ${format(tree.own[node])}`);
		if (tree.before) {
			const more = tree.total[node] - tree.before[node];
			parts.push(`before ${format(tree.before[node])}`, `difference ${signed(format, more)}`);
		}
		return parts.filter(Boolean).join(", ");
	}

	look(node) {
		this.from = this.tree.x[node];
		this.to = this.from + (this.tree.width[node] || 1);
	}
}
