/* The page: a state, what is computed of it, and the parts that show it. */

import { Canvas } from "./canvas.js";
import { Palette } from "./colour.js";
import { Controls, firstOf } from "./controls.js";
import { bytes, collapsed, follow, save, svg } from "./save.js";
import { find, matched } from "./search.js";
import { NOTHING, read, write } from "./state.js";
import { formatter, percent, visible } from "./text.js";
import { Outline } from "./outline.js";
import { sumUp, Top } from "./top.js";
import { grow } from "./tree.js";
import { View } from "./view.js";
import { totals, weigh } from "./weights.js";

const MANY = 8; /* profiles: more would push the graph out of sight */
const at = (id) => document.getElementById(id);
/* What makes another tree; all else is only drawn otherwise. */
const OF_TREE = ["show", "base", "value", "weight", "labels", "pivot", "lines"];

const key = (state) => JSON.stringify(OF_TREE.map((k) =>
	state[k] instanceof Map ? [...state[k]] : state[k]));

export class Page {
	#known = "";

	constructor(data) {
		this.dark = matchMedia("(prefers-color-scheme: dark)");
		this.dark.addEventListener("change", () => this.#show());
		this.controls = new Controls((more) => this.change(more));
		this.canvas = new Canvas(at("canvas"), at("graph"), {
			pick: (node) => this.#move(node),
			enter: (node) => this.#enter(node),
			hover: (node, x, y) => this.#hover(node, x, y),
			look: () => this.#window(),
		});
		this.outline = new Outline(at("outline"), {
			move: (node) => this.#move(node),
			enter: (node) => this.#enter(node),
			pivot: (node) => this.#pivot(node),
			reset: () => this.#reset(),
		});
		this.top = new Top(at("top"), at("more"), {
			sort: (sort) => this.change({ sort }),
			pivot: (f) => this.change({ pivot: f, zoom: 0 }),
		});
		this.#buttons();
		at("which").open = data.profiles.length <= MANY;
		addEventListener("hashchange", () => {
			this.state = this.#read();
			this.#show();
		});
		this.take(data);
	}

	/* Show other data, as far as it can be in the way that the address tells. */
	take(data) {
		this.data = data;
		this.controls.data = data;
		this.initial = { ...NOTHING, ...firstOf(data, data.profiles[0].kind) };
		this.#known = "";
		this.state = this.#read();
		this.#show();
	}

	/* Take over what is different, as a step that the browser's Back undoes. */
	change(more) {
		const { state } = this;
		this.state = this.#fitting({ ...state, ...more });
		const typing = "search" in more;
		const hash = write(this.state, this.initial, this.data, location.hash);
		if (typing || hash === (location.hash || "#")) history.replaceState(null, "", hash);
		else history.pushState(null, "", hash);
		this.#show();
	}

	#read() {
		return this.#fitting(read(location.hash, this.initial, this.data));
	}

	/* A state without what these data, or this choice of their profiles, do not have. */
	#fitting(state) {
		const { data, initial } = this;
		if (!data.kinds().includes(state.kind)) state.kind = initial.kind;
		const of = data.ofKind(state.kind);
		const known = (list) => list.filter((i) => of.includes(i));
		state.show = known(state.show);
		if (!state.show.length) state.show = of;
		state.base = known(state.base);
		const { values, default: usual } = data.profiles[state.show[0]];
		if (!values[state.value]) state.value = usual;
		const labels = data.labels([...state.show, ...state.base]);
		state.labels = new Map([...state.labels].filter(([k, v]) => labels.get(k)?.has(v)));
		return state;
	}

	#show() {
		const { state } = this;
		const dark = state.theme ? state.theme === "dark" : this.dark.matches;
		document.documentElement.dataset.theme = dark ? "dark" : "light";
		at("theme").setAttribute("aria-pressed", dark);
		const wanted = key(state);
		if (wanted !== this.#known) {
			this.#known = wanted;
			this.#compute();
		}
		this.view.palette = new Palette(this.data, dark);
		this.view.found = find(this.data, state.search);
		const zoom = state.zoom > 0 && state.zoom < this.view.tree.size ? state.zoom : 0;
		if (zoom !== this.zoomed) {
			this.view.look(zoom);
			this.view.current = zoom;
			this.zoomed = zoom;
		}
		this.controls.show(state);
		this.canvas.show(this.view);
		this.outline.show(this.view);
		this.#window();
		this.#words();
		this.#details();
		this.top.show({
			data: this.data, now: this.now, before: this.before, rows: this.rows,
			sort: state.sort, found: this.view.found, format: this.view.format,
		});
	}

	#compute() {
		const { data, state } = this;
		const side = (profiles) => {
			const own = weigh(data, profiles, state);
			return { own, total: totals(data, own) };
		};
		const [, unit] = data.profiles[state.show[0]].values[state.value];
		const keyOf = state.lines ? (n) => data.frame[n] : (n) => data.functionOf[n];
		this.now = side(state.show);
		this.before = state.base.length ? side(state.base) : null;
		this.rows = sumUp(data, this.now, this.before);
		const tree = grow(data, this.now, this.before, keyOf, state.pivot);
		this.view = new View(data, tree, {
			format: formatter(state.weight, unit), lines: state.lines, palette: null,
		});
		this.zoomed = 0;
	}

	#words() {
		const { data, state, view, now, before } = this;
		const total = view.format(now.total[0]);
		at("total").textContent = before ? `${total}, before ${view.format(before.total[0])}` : total;
		at("matches").textContent = view.found === null ? ""
			: `${percent(matched(data, now, view.found), now.total[0])} in ${view.found.size} functions`;
		at("legend").hidden = !before;
		at("unpivot").hidden = state.pivot < 0;
		at("pivoted").textContent = state.pivot < 0 ? ""
			: `Callers above and callees below ${visible(data.name(state.pivot))}`;
		at("empty").hidden = now.total[0] !== 0 || Boolean(before?.total[0]);
	}

	/* Where the window is, for those who cannot see it. */
	#window() {
		const { from, to } = this.view;
		at("window").textContent = `Seen: ${percent(from, 1)} to ${percent(to, 1)}`;
		at("reset").hidden = from === 0 && to === 1;
	}

	#details() {
		const { view } = this;
		at("details").textContent = view.describe(view.current);
		at("by-line").textContent = this.#lines(view.current);
		at("pivot").disabled = view.functionOf(view.current) < 0;
	}

	/* Where in the function: its lines, heaviest first. */
	#lines(node) {
		const { data, view, now } = this;
		const by = new Map();
		if (node === 0 || view.tree.row[node] < 0) return "";
		for (let n = 1; n < data.size; n++) {
			if (view.tree.nodeOf(n) !== node || !now.total[n]) continue;
			by.set(data.line(n), (by.get(data.line(n)) ?? 0) + now.total[n]);
		}
		const lines = [...by].filter(([line]) => line).sort((a, b) => b[1] - a[1]);
		if (!lines.length) return "";
		const words = lines.slice(0, 8).map(([line, value]) => `${line}: ${view.format(value)}`);
		return `By line: ${words.join(", ")}${lines.length > 8 ? ", \u2026" : ""}`;
	}

	#move(node) {
		if (node < 0) return;
		const { view } = this;
		view.current = node;
		const middle = view.tree.x[node] + view.tree.width[node] / 2;
		if (middle < view.from || middle > view.to) view.look(0);
		this.canvas.show(view);
		this.outline.show(view);
		this.#window();
		this.#details();
		this.canvas.reveal(node);
	}

	#enter(node) {
		if (node < 0) return;
		if (this.zoomed === node) this.zoomed = -1; /* the window has moved since */
		this.change({ zoom: node });
	}

	#pivot(node) {
		const f = this.view.functionOf(node);
		if (f >= 0) this.change({ pivot: f, zoom: 0 });
	}

	#reset() {
		this.zoomed = -1;
		this.change({ zoom: 0 });
	}

	#hover(node, x, y) {
		const tip = at("tip");
		tip.hidden = node < 0;
		if (node < 0) return;
		tip.textContent = this.view.describe(node).slice(0, 500);
		tip.style.left = `${Math.max(0, Math.min(x + 12, innerWidth - tip.offsetWidth - 8))}px`;
		tip.style.top = `${y + 16}px`;
	}

	#buttons() {
		const click = (id, act) => at(id).addEventListener("click", act);
		click("reset", () => this.#reset());
		click("unpivot", () => this.change({ pivot: -1, zoom: 0 }));
		click("zoom", () => this.#enter(this.view.current));
		click("pivot", () => this.#pivot(this.view.current));
		click("theme", () => {
			const { theme } = document.documentElement.dataset;
			this.change({ theme: theme === "dark" ? "light" : "dark" });
		});
		click("save-svg", () => save("profile.svg", "image/svg+xml", [
			svg(this.view, at("graph").clientWidth, (node) => this.view.describe(node)),
		]));
		click("save-text", () => save("profile.txt", "text/plain",
			collapsed(this.data, this.now, this.before)));
		click("save-pprof", () => {
			for (const i of this.state.show) {
				const { file, raw, url } = this.data.profiles[i];
				if (url) follow(url, file);
				else save(file, "application/gzip", [bytes(raw)]);
			}
		});
		click("help", () => at("keys").showModal());
		click("close", () => at("keys").close());
		addEventListener("keydown", (e) => this.#key(e));
	}

	#key(e) {
		if (e.target.matches("input:not([type=checkbox]), select") || e.ctrlKey || e.metaKey || e.altKey) {
			return;
		}
		if (e.key === "/") at("search").focus();
		else if (e.key === "?") at("keys").showModal();
		else if (e.key === "g") at("outline").focus();
		else if (e.key === "+" || e.key === "-") this.#scale(e.key === "+" ? 0.5 : 2);
		else if (e.key === "[" || e.key === "]") this.#shift(e.key === "[" ? -1 : 1);
		else return;
		e.preventDefault();
	}

	#scale(by) {
		const { from, to } = this.view;
		const size = Math.min(1, (to - from) * by);
		this.canvas.look((from + to - size) / 2, size);
	}

	#shift(direction) {
		const { from, to } = this.view;
		this.canvas.look(from + (direction * (to - from)) / 4, to - from);
	}
}
