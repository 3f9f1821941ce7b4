/*
 * A tree to be drawn. Nodes are numbered so that the children of one stand
 * together, greatest first; `row` is its distance from node 0, negative for
 * callers. Widths are shares of node 0, and x is where it begins, from 0 to 1.
 *
 * With a comparison, `before` has the other side's totals, and a node is as wide
 * as both together, so that what has vanished is seen as well.
 */

const DOWN = 1;
const UP = -1;

class Growing {
	constructor(compared) {
		this.parent = [-1];
		this.key = [-1];
		this.side = [DOWN];
		this.total = [0];
		this.own = [0];
		this.before = compared ? [0] : null;
		this.children = new Map();
	}

	child(parent, key, side) {
		const at = (parent * 2 + (side === UP ? 1 : 0)) * 2 ** 24 + key;
		let node = this.children.get(at);
		if (node === undefined) {
			node = this.parent.length;
			this.children.set(at, node);
			this.parent.push(parent);
			this.key.push(key);
			this.side.push(side);
			this.total.push(0);
			this.own.push(0);
			this.before?.push(0);
		}
		return node;
	}
}

/*
 * sides: {own, total} of what is shown, and of what it is compared with or null.
 * keyOf: what makes nodes of one parent the same: their function, or their line.
 * pivot: a function that becomes the root, callers above it, or -1.
 */
export function grow(data, now, before, keyOf, pivot) {
	const g = new Growing(before !== null);
	const node = pivot < 0 ? wholeStacks(g, data, now, before, keyOf)
		: around(g, data, now, before, keyOf, pivot);
	return new Tree(g, node, pivot);
}

function addTo(g, to, from, now, before) {
	g.total[to] += now.total[from];
	if (before) g.before[to] += before.total[from];
}

function wholeStacks(g, data, now, before, keyOf) {
	const drawn = new Int32Array(data.size).fill(-1);
	drawn[0] = 0;
	addTo(g, 0, 0, now, before);
	g.own[0] = now.own[0];
	for (let n = 1; n < data.size; n++) {
		if (!now.total[n] && !before?.total[n]) continue;
		drawn[n] = g.child(drawn[data.parent[n]], keyOf(n), DOWN);
		addTo(g, drawn[n], n, now, before);
		g.own[drawn[n]] += now.own[n];
	}
	return drawn;
}

function around(g, data, now, before, keyOf, pivot) {
	const drawn = new Int32Array(data.size).fill(-1);
	for (let n = 1; n < data.size; n++) {
		if (!now.total[n] && !before?.total[n]) continue;
		if (data.functionOf[n] === pivot && data.outermost[n]) {
			drawn[n] = 0;
			addTo(g, 0, n, now, before);
			addCallers(g, data, n, now, before, keyOf);
		} else if (drawn[data.parent[n]] >= 0) {
			drawn[n] = g.child(drawn[data.parent[n]], keyOf(n), DOWN);
			addTo(g, drawn[n], n, now, before);
		} else {
			continue;
		}
		g.own[drawn[n]] += now.own[n];
	}
	return drawn;
}

function addCallers(g, data, n, now, before, keyOf) {
	let at = 0;
	for (let up = data.parent[n]; up > 0; up = data.parent[up]) {
		at = g.child(at, keyOf(up), UP);
		addTo(g, at, n, now, before);
	}
}

class Tree {
	#drawn;
	#number;

	constructor(g, drawn, pivot) {
		this.pivot = pivot;
		this.#drawn = drawn;
		this.#order(g);
	}

	get size() {
		return this.parent.length;
	}

	/* The node that shows a stack's frame, or -1. */
	nodeOf(n) {
		return this.#drawn[n] < 0 ? -1 : this.#number[this.#drawn[n]];
	}

	/* What `node` weighs in the drawing. */
	sum(node) {
		return this.total[node] + (this.before ? this.before[node] : 0);
	}

	/* The lists of children, each [first, end): node 0 may have callers, too. */
	lists(node) {
		const start = this.childStart[node];
		const end = this.childEnd[node];
		return node === 0 ? [[start, this.callersEnd], [this.callersEnd, end]] : [[start, end]];
	}

	#order(g) {
		const nr = g.parent.length;
		const size = g.total.map((t, i) => t + (g.before ? g.before[i] : 0));
		const lists = Array.from({ length: nr }, () => null);
		for (let i = 1; i < nr; i++) (lists[g.parent[i]] ??= []).push(i);
		const order = new Int32Array(nr);
		this.#number = new Int32Array(nr);
		this.childStart = new Int32Array(nr);
		this.childEnd = new Int32Array(nr);
		let end = 1;
		for (let i = 0; i < end; i++) {
			const children = lists[order[i]] ?? [];
			/* Callers first: only node 0 has both kinds. */
			children.sort((a, b) => g.side[a] - g.side[b] || size[b] - size[a] || a - b);
			this.childStart[i] = end;
			for (const child of children) order[end++] = child;
			this.childEnd[i] = end;
			if (i === 0) {
				this.callersEnd = 1 + children.filter((c) => g.side[c] === UP).length;
			}
		}
		for (let i = 0; i < nr; i++) this.#number[order[i]] = i;
		/* By hand: from() of typed arrays takes seconds for a million. */
		const take = (from, type) => {
			const to = new type(nr);
			for (let i = 0; i < nr; i++) to[i] = from[order[i]];
			return to;
		};
		this.parent = take(g.parent, Int32Array);
		for (let i = 1; i < nr; i++) this.parent[i] = this.#number[this.parent[i]];
		this.key = take(g.key, Int32Array);
		this.side = take(g.side, Int8Array);
		this.total = take(g.total, Float64Array);
		this.own = take(g.own, Float64Array);
		this.before = g.before && take(g.before, Float64Array);
		this.#layOut();
	}

	#layOut() {
		this.x = new Float64Array(this.size);
		this.width = new Float64Array(this.size);
		this.row = new Int32Array(this.size);
		this.width[0] = 1;
		this.firstRow = 0;
		this.lastRow = 0;
		const whole = this.sum(0) || 1;
		for (let node = 0; node < this.size; node++) {
			for (const [start, end] of this.lists(node)) {
				let at = this.x[node];
				for (let c = start; c < end; c++) {
					this.x[c] = at;
					/* Differences that others stored as profiles have less than nothing. */
					this.width[c] = Math.max(0, this.sum(c) / whole);
					at += this.width[c];
					this.row[c] = this.row[node] + this.side[c];
				}
				if (start < end) {
					this.firstRow = Math.min(this.firstRow, this.row[start]);
					this.lastRow = Math.max(this.lastRow, this.row[start]);
				}
			}
		}
	}

	/*
	 * Call visit(node) for what is at least `least` wide, touches the window from
	 * `from` to `to` and is in the rows from `top` to `bottom`. Lists are sorted:
	 * the first that is too narrow ends one.
	 */
	visit({ from, to, top, bottom }, least, visit) {
		const open = [0];
		while (open.length) {
			const node = open.pop();
			const row = this.row[node];
			if (row >= top && row <= bottom) visit(node);
			if ((row > 0 && row >= bottom) || (row < 0 && row <= top)) continue;
			for (const [start, end] of this.lists(node)) {
				for (let c = start; c < end; c++) {
					if (this.width[c] < least || this.x[c] >= to) break;
					if (this.x[c] + this.width[c] > from) open.push(c);
				}
			}
		}
	}

	/* The node at x in a row, or -1. */
	at(x, row) {
		let node = 0;
		while (node >= 0 && this.row[node] !== row) {
			node = this.#childAt(node, x, Math.sign(row));
		}
		return node;
	}

	#childAt(node, x, side) {
		for (let c = this.childStart[node]; c < this.childEnd[node]; c++) {
			if (this.side[c] === side && x >= this.x[c] && x < this.x[c] + this.width[c]) {
				return c;
			}
		}
		return -1;
	}
}
