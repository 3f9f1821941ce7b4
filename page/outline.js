/*
 * The flame graph as a tree for keyboards and screen readers. One element has the
 * focus; its active descendant is the current frame. In the document are only the
 * frames around that one: its callers, its siblings and what it calls.
 */

const AROUND = 20; /* siblings to each side */

export class Outline {
	#root;
	#view = null;

	/* on: move(node), enter(node), pivot(node), reset(). */
	constructor(root, on) {
		this.#root = root;
		this.on = on;
		root.addEventListener("keydown", (e) => this.#key(e));
		root.addEventListener("click", (e) => {
			const item = e.target.closest("[data-node]");
			if (item) on.move(Number(item.dataset.node));
		});
	}

	show(view) {
		this.#view = view;
		const items = this.#around(view.current).map((node) => this.#item(node));
		this.#root.replaceChildren(...items);
		this.#root.setAttribute("aria-activedescendant", `frame-${view.current}`);
	}

	/* In the order of a tree written down, callers' rows before their children's. */
	#around(current) {
		const { tree } = this.#view;
		const path = [];
		for (let n = current; n >= 0; n = tree.parent[n]) path.unshift(n);
		const before = [];
		const after = [];
		if (current > 0) {
			const [start, end] = this.#siblings(current);
			for (let n = Math.max(start, current - AROUND); n < current; n++) before.push(n);
			for (let n = current + 1; n < Math.min(end, current + 1 + AROUND); n++) after.push(n);
		}
		const children = [];
		for (const [start, end] of tree.lists(current)) {
			for (let n = start; n < Math.min(end, start + AROUND); n++) children.push(n);
		}
		return [...path.slice(0, -1), ...before, current, ...children, ...after];
	}

	#siblings(node) {
		const lists = this.#view.tree.lists(this.#view.tree.parent[node]);
		return lists.find(([start, end]) => node >= start && node < end) ?? [0, 1];
	}

	#item(node) {
		const { tree, current } = this.#view;
		const item = document.createElement("div");
		const [start, end] = node > 0 ? this.#siblings(node) : [0, 1];
		const children = tree.childEnd[node] > tree.childStart[node];
		item.id = `frame-${node}`;
		item.dataset.node = node;
		item.setAttribute("role", "treeitem");
		item.setAttribute("aria-level", Math.abs(tree.row[node]) + 1);
		item.setAttribute("aria-setsize", end - start);
		item.setAttribute("aria-posinset", node - start + 1);
		item.setAttribute("aria-selected", node === current);
		if (children) {
			const open = node === current || this.#isAbove(node, current);
			item.setAttribute("aria-expanded", open);
		}
		item.textContent = this.#view.describe(node);
		return item;
	}

	#isAbove(node, below) {
		const { parent } = this.#view.tree;
		while (below > node) below = parent[below];
		return below === node;
	}

	#key(e) {
		if (e.ctrlKey || e.metaKey || e.altKey) return;
		const { current } = this.#view;
		const step = {
			ArrowDown: () => this.#vertical(1),
			ArrowUp: () => this.#vertical(-1),
			ArrowLeft: () => this.#beside(-1),
			ArrowRight: () => this.#beside(1),
			Home: () => 0,
		}[e.key];
		if (step) this.on.move(step());
		else if (e.key === "Enter" || e.key === " ") this.on.enter(current);
		else if (e.key === "p") this.on.pivot(current);
		else if (e.key === "Escape") this.on.reset();
		else return;
		e.preventDefault();
	}

	/* As it is drawn: callers are above node 0, and their own callers above them. */
	#vertical(direction) {
		const { tree, current } = this.#view;
		const side = current === 0 ? direction : Math.sign(tree.row[current]);
		if (side !== direction) return Math.max(0, tree.parent[current]);
		const lists = tree.lists(current);
		const [start, end] = current === 0 ? lists[direction < 0 ? 0 : 1] : lists[0];
		return start < end ? start : current;
	}

	#beside(direction) {
		const { current } = this.#view;
		if (current === 0) return 0;
		const [start, end] = this.#siblings(current);
		return Math.min(end - 1, Math.max(start, current + direction));
	}
}
