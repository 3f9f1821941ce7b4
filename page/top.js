/* The top table: what each function took itself, and with what it called. */

import { percent, place, signed, visible } from "./text.js";

const FIRST = 100; /* rows, and as many more at each wish */

/* One row a function; a recursion counts once towards its total. */
export function sumUp(data, now, before) {
	const rows = new Map();
	const row = (f) => {
		if (!rows.has(f)) rows.set(f, { f, own: 0, total: 0, before: 0 });
		return rows.get(f);
	};
	for (let n = 1; n < data.size; n++) {
		if (!now.total[n] && !before?.total[n]) continue;
		const r = row(data.functionOf[n]);
		r.own += now.own[n];
		if (!data.outermost[n]) continue;
		r.total += now.total[n];
		r.before += before ? before.total[n] : 0;
	}
	return [...rows.values()];
}

const ORDER = {
	name: (data) => (a, b) => (data.name(a.f) < data.name(b.f) ? -1 : 1),
	place: (data) => (a, b) => (data.file(a.f) < data.file(b.f) ? -1 : 1),
	self: () => (a, b) => b.own - a.own || b.total - a.total,
	total: () => (a, b) => b.total - a.total || b.own - a.own,
	difference: () => (a, b) => Math.abs(b.total - b.before) - Math.abs(a.total - a.before),
};

export class Top {
	#table;
	#more;
	#rows = [];
	#shown = FIRST;
	#last = null;

	/* on: sort(column), pivot(function). */
	constructor(table, more, on) {
		this.#table = table;
		this.#more = more;
		this.on = on;
		for (const button of table.tHead.querySelectorAll("button")) {
			button.addEventListener("click", () => on.sort(button.dataset.sort));
		}
		more.addEventListener("click", () => {
			this.#shown += FIRST;
			this.#fill();
		});
	}

	/* what: data, now, before, rows, sort, found, format. */
	show(what) {
		this.#last = what;
		this.#shown = FIRST;
		this.#rows = what.rows.filter((r) => !what.found || what.found.has(r.f));
		this.#rows.sort(ORDER[what.sort](what.data));
		for (const cell of this.#table.tHead.rows[0].cells) {
			const sort = cell.querySelector("button")?.dataset.sort;
			const way = sort === "name" || sort === "place" ? "ascending" : "descending";
			if (sort) cell.setAttribute("aria-sort", sort === what.sort ? way : "none");
			if (sort === "difference") cell.hidden = !what.before;
		}
		this.#fill();
	}

	#fill() {
		const body = this.#table.tBodies[0];
		const rows = this.#rows.slice(0, this.#shown).map((r) => this.#row(r));
		body.replaceChildren(...rows);
		this.#table.setAttribute("aria-rowcount", this.#rows.length + 1);
		const left = this.#rows.length - rows.length;
		this.#more.hidden = left <= 0;
		this.#more.textContent = `${left} more`;
	}

	#row(r) {
		const { data, now, before, format } = this.#last;
		const row = document.createElement("tr");
		const whole = now.total[0];
		const head = document.createElement("th");
		const button = document.createElement("button");
		const name = document.createElement("bdi");
		head.scope = "row";
		name.textContent = visible(data.name(r.f));
		button.title = "Show its callers and callees";
		button.append(name);
		button.addEventListener("click", () => this.on.pivot(r.f));
		head.append(button);
		row.append(head);
		const cells = [
			format(r.own), percent(r.own, whole), format(r.total), percent(r.total, whole),
		];
		if (before) cells.push(signed(format, r.total - r.before));
		for (const text of cells) row.insertCell().textContent = text;
		const where = row.insertCell();
		where.textContent = place(data.file(r.f), data.startLine(r.f));
		where.className = "place";
		return row;
	}
}
