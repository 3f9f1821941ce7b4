/* The choices above the graph. They show a state and ask for another one. */

import { efficiency } from "./efficiency.js";
import { amount, visible } from "./text.js";

const ALL = ""; /* of a label's values */

const at = (id) => document.getElementById(id);

export function option(value, text, chosen) {
	const made = document.createElement("option");
	made.value = value;
	made.textContent = visible(text);
	made.selected = chosen;
	return made;
}

function checkbox(label, checked, change) {
	const box = document.createElement("input");
	box.type = "checkbox";
	box.checked = checked;
	box.setAttribute("aria-label", label);
	box.addEventListener("change", () => change(box.checked));
	return box;
}

function download({ url, file }, title) {
	const link = document.createElement("a");
	link.href = url;
	link.download = file;
	link.append(title);
	return link;
}

export class Controls {
	/* change: called with what is to be different in the state. */
	constructor(change) {
		this.data = null; /* given before it shows anything */
		this.change = change;
		for (const id of ["value", "weight"]) {
			at(id).addEventListener("change", () => {
				const value = at(id).value;
				change({ [id]: id === "value" ? Number(value) : value, zoom: 0 });
			});
		}
		at("kind").addEventListener("change", () => {
			change(firstOf(this.data, at("kind").value));
		});
		at("lines").addEventListener("change", () => {
			change({ lines: at("lines").checked, zoom: 0 });
		});
		at("search").addEventListener("input", () => change({ search: at("search").value }));
	}

	show(state) {
		const { data } = this;
		const kinds = data.kinds();
		const values = data.profiles[state.show[0]].values;
		at("kind").replaceChildren(...kinds.map((k) => option(k, k, k === state.kind)));
		at("value").replaceChildren(...values.map(([type, unit], i) =>
			option(i, unit && unit !== type ? `${type} (${unit})` : type || "value",
				i === state.value)));
		at("weight").value = state.weight;
		at("lines").checked = state.lines;
		if (at("search").value !== state.search) at("search").value = state.search;
		this.#labels(state);
		this.#profiles(state);
	}

	#labels(state) {
		const { data, change } = this;
		const made = [];
		for (const [key, values] of data.labels([...state.show, ...state.base])) {
			const label = document.createElement("label");
			const select = document.createElement("select");
			const name = document.createElement("bdi");
			const wanted = state.labels.get(key) ?? ALL;
			name.textContent = visible(key);
			select.dataset.label = key;
			select.append(option(ALL, "all", wanted === ALL));
			for (const value of [...values].sort()) {
				select.append(option(value, value, value === wanted));
			}
			select.addEventListener("change", () => {
				const labels = new Map(state.labels);
				if (select.value === ALL) labels.delete(key);
				else labels.set(key, select.value);
				change({ labels, zoom: 0 });
			});
			label.append(name, " ", select);
			made.push(label);
		}
		const focus = document.activeElement?.dataset?.label;
		at("labels").replaceChildren(...made);
		if (focus !== undefined) {
			at("labels").querySelector(`[data-label="${CSS.escape(focus)}"]`)?.focus();
		}
	}

	#profiles(state) {
		const rows = this.data.ofKind(state.kind).map((i) => this.#profile(i, state));
		const focus = document.activeElement?.getAttribute("aria-label");
		at("profiles").tBodies[0].replaceChildren(...rows);
		if (focus) {
			[...at("profiles").querySelectorAll("input")]
				.find((box) => box.getAttribute("aria-label") === focus)?.focus();
		}
	}

	#profile(i, state) {
		const p = this.data.profiles[i];
		const row = document.createElement("tr");
		const toggle = (list, on) => (on ? [...list, i].sort((a, b) => a - b)
			: list.filter((other) => other !== i));
		const { ticks, missed, cost } = efficiency(p.comments);
		row.insertCell().append(checkbox(`show ${visible(p.title)}`, state.show.includes(i),
			(on) => {
				const show = toggle(state.show, on);
				this.change({ show: show.length ? show : [i], zoom: 0 });
			}));
		row.insertCell().append(checkbox(`compare with ${visible(p.title)}`,
			state.base.includes(i), (on) => {
				const base = toggle(state.base, on);
				this.change({ base, zoom: 0, weight: base.length ? "share" : state.weight });
			}));
		const head = document.createElement("th");
		const title = document.createElement("bdi");
		head.scope = "row";
		title.textContent = visible(p.title);
		head.append(p.url ? download(p, title) : title);
		row.append(head);
		const made = p.time_ns > 0 ? new Date(p.time_ns / 1e6) : null;
		for (const text of [
			made && !Number.isNaN(made.getTime()) ? made.toISOString().slice(0, 19).replace("T", " ")
				: "unknown",
			amount(p.duration_ns, "nanoseconds"), String(p.sample_count), ticks, missed, cost,
		]) row.insertCell().textContent = text;
		return row;
	}
}

/* What is shown first of a kind of profiles. */
export function firstOf(data, kind) {
	const all = data.ofKind(kind);
	const [base, show] = (data.compare ?? [[], all])
		.map((side) => side.filter((i) => all.includes(i)));
	return {
		kind, show, base, value: data.profiles[all[0]].default, labels: new Map(),
		pivot: -1, zoom: 0, weight: base.length ? "share" : "sum",
	};
}
