/* The flame graph on a canvas: draws what is in sight once a frame at most, and
 * tells what the pointer does. */

import { boxes, FONT, FONT_SIZE, height, ROW } from "./boxes.js";

const SMALLEST = 1e-9; /* of the whole: below, x has no digits left */

export class Canvas {
	#canvas;
	#frame;
	#context;
	#pending = 0;
	#view = null;
	#width = 0;
	#drag = null;

	/*
	 * holder: an element that scrolls, and holds the canvas; on: what is called when
	 * the pointer picks(node), enters(node) or hovers(node), and when the window moved.
	 */
	constructor(canvas, holder, on) {
		this.#canvas = canvas;
		this.#frame = holder;
		this.#context = canvas.getContext("2d", { alpha: false });
		this.on = on;
		new ResizeObserver(() => this.draw()).observe(holder);
		holder.addEventListener("scroll", () => this.draw(), { passive: true });
		canvas.addEventListener("wheel", (e) => this.#wheel(e), { passive: false });
		canvas.addEventListener("pointerdown", (e) => this.#down(e));
		canvas.addEventListener("pointermove", (e) => this.#move(e));
		canvas.addEventListener("pointerup", (e) => this.#up(e));
		canvas.addEventListener("pointerleave", () => this.on.hover(-1, 0, 0));
		canvas.addEventListener("dblclick", (e) => this.on.enter(this.#nodeAt(e)));
	}

	show(view) {
		this.#view = view;
		this.draw();
	}

	draw() {
		this.#pending ||= requestAnimationFrame(() => {
			this.#pending = 0;
			if (this.#view) this.#paint();
		});
	}

	/* Move the window so that it begins at `from` and is `size` wide. */
	look(from, size) {
		size = Math.min(1, Math.max(SMALLEST, size));
		from = Math.min(1 - size, Math.max(0, from));
		this.#view.from = from;
		this.#view.to = from + size;
		this.draw();
		this.on.look(from, from + size);
	}

	/* Scroll so that the row of a node is in sight. */
	reveal(node) {
		const { tree } = this.#view;
		const top = (tree.row[node] - tree.firstRow) * ROW;
		const { scrollTop, clientHeight } = this.#frame;
		if (top < scrollTop) this.#frame.scrollTop = top;
		else if (top + ROW > scrollTop + clientHeight) {
			this.#frame.scrollTop = top + ROW - clientHeight;
		}
	}

	/* The part of the tree that can be seen: a strip of rows, drawn as high as the
	 * holder, since a canvas as high as a deep recursion would not be made. */
	#paint() {
		const c = this.#context;
		const view = this.#view;
		const ratio = window.devicePixelRatio || 1;
		const width = this.#frame.clientWidth;
		const tall = height(view.tree);
		const seen = Math.max(ROW, Math.min(tall, this.#frame.clientHeight));
		this.#fit(width, seen, tall, ratio);
		const top = Math.min(this.#frame.scrollTop, Math.max(0, tall - seen));
		c.setTransform(ratio, 0, 0, ratio, 0, 0);
		c.fillStyle = view.palette.back;
		c.fillRect(0, 0, width, seen);
		c.font = `${FONT_SIZE} ${FONT}`;
		c.textBaseline = "middle";
		c.direction = "ltr";
		const first = view.tree.firstRow + Math.floor(top / ROW);
		const last = first + Math.ceil(seen / ROW);
		for (const box of boxes(view, width, [first, last])) {
			this.#paintBox(box, box.top - top);
		}
	}

	#fit(width, seen, tall, ratio) {
		const canvas = this.#canvas;
		const w = Math.round(width * ratio);
		const h = Math.round(seen * ratio);
		if (canvas.width !== w) canvas.width = w;
		if (canvas.height !== h) canvas.height = h;
		canvas.style.width = `${width}px`;
		canvas.style.height = `${seen}px`;
		canvas.parentElement.style.height = `${tall}px`;
		this.#width = width;
	}

	#paintBox(box, y) {
		const c = this.#context;
		const { palette, current } = this.#view;
		c.fillStyle = box.colour;
		c.fillRect(box.left, y, box.width > 3 ? box.width - 0.6 : box.width, ROW - 1);
		if (box.text) {
			c.fillStyle = box.found ? palette.foundText : palette.text;
			c.fillText(box.text, box.left + 3, y + ROW / 2);
		}
		if (box.node === current) {
			c.strokeStyle = palette.ring;
			c.lineWidth = 2;
			c.strokeRect(box.left + 1, y + 1, Math.max(1, box.width - 2), ROW - 3);
		}
	}

	#nodeAt(e) {
		if (!this.#view) return -1;
		const { tree, from, to } = this.#view;
		const box = this.#canvas.getBoundingClientRect();
		const tall = height(tree);
		const seen = box.height;
		const top = Math.min(this.#frame.scrollTop, Math.max(0, tall - seen));
		const row = Math.floor((e.clientY - box.top + top) / ROW) + tree.firstRow;
		return tree.at(from + ((e.clientX - box.left) / this.#width) * (to - from), row);
	}

	/* With Ctrl, as browsers tell of a pinch, too: zoom where the pointer is. */
	#wheel(e) {
		const { from, to } = this.#view;
		const size = to - from;
		if (e.ctrlKey || e.metaKey || e.altKey) {
			const box = this.#canvas.getBoundingClientRect();
			const at = (e.clientX - box.left) / this.#width;
			const next = Math.min(1, size * Math.exp(e.deltaY * 0.003));
			this.look(from + at * (size - next), next);
		} else if (e.deltaX || e.shiftKey) {
			this.look(from + ((e.deltaX || e.deltaY) / this.#width) * size, size);
		} else {
			return;
		}
		e.preventDefault();
	}

	#down(e) {
		if (e.button !== 0) return;
		this.#drag = { x: e.clientX, from: this.#view.from, moved: false };
		this.#canvas.setPointerCapture(e.pointerId);
	}

	#move(e) {
		const drag = this.#drag;
		if (!drag) {
			this.on.hover(this.#nodeAt(e), e.clientX, e.clientY);
			return;
		}
		if (Math.abs(e.clientX - drag.x) > 3) drag.moved = true;
		if (!drag.moved) return;
		const size = this.#view.to - this.#view.from;
		this.look(drag.from - ((e.clientX - drag.x) / this.#width) * size, size);
	}

	#up(e) {
		const moved = this.#drag?.moved;
		this.#drag = null;
		if (!moved && e.button === 0) this.on.pick(this.#nodeAt(e));
	}
}
