/*
 * What was handed to the page: profiles over one table of functions and one tree
 * of stacks. A node's parent comes before it, node 0 is the root of all, so that
 * sums run backwards over plain arrays. Nothing here changes after it was read.
 */

const ID_DIGITS = 12;

export class Data {
	constructor(raw) {
		this.strings = raw.strings;
		this.functions = raw.functions; /* name, file, line of its def */
		this.frames = raw.frames; /* function, line */
		this.parent = Int32Array.from(raw.parent);
		this.frame = Int32Array.from(raw.frame);
		this.profiles = raw.profiles;
		this.compare = raw.compare;
		this.functionOf = this.#functions();
		this.outermost = this.#outermost();
	}

	get size() {
		return this.parent.length;
	}

	get functionCount() {
		return this.functions.length / 3;
	}

	name(f) {
		return this.strings[this.functions[3 * f]];
	}

	file(f) {
		return this.strings[this.functions[3 * f + 1]];
	}

	startLine(f) {
		return this.functions[3 * f + 2];
	}

	line(node) {
		return this.frames[2 * this.frame[node] + 1];
	}

	/* How an address names profiles and functions: what else is there does not matter,
	 * where profiles have an id. */
	keyOf(i) {
		return this.profiles[i].id?.slice(0, ID_DIGITS) ?? String(i);
	}

	withKey(key) {
		return this.profiles.findIndex((_, i) => this.keyOf(i) === key);
	}

	functionKey(f) {
		return `${this.name(f)} ${this.file(f)}:${this.startLine(f)}`;
	}

	functionWithKey(key) {
		for (let f = 0; f < this.functionCount; f++) if (this.functionKey(f) === key) return f;
		return -1;
	}

	/* The kinds of profiles, in the order in which they came. */
	kinds() {
		return [...new Set(this.profiles.map((p) => p.kind))];
	}

	ofKind(kind) {
		return this.profiles.map((_, i) => i).filter((i) => this.profiles[i].kind === kind);
	}

	/* Labels that tell samples of these profiles apart: key to its values. */
	labels(profiles) {
		const found = new Map();
		for (const i of profiles) {
			for (const set of this.profiles[i].labels) {
				for (const [key, value] of set) {
					if (!found.has(key)) found.set(key, new Set());
					found.get(key).add(value);
				}
			}
		}
		return new Map([...found].filter(([, values]) => values.size > 1));
	}

	#functions() {
		const of = new Int32Array(this.size).fill(-1);
		for (let n = 1; n < this.size; n++) of[n] = this.frames[2 * this.frame[n]];
		return of;
	}

	/* 1 where no caller is the same function: a recursion is counted there only. */
	#outermost() {
		const outermost = new Uint8Array(this.size);
		for (let n = 1; n < this.size; n++) {
			let up = this.parent[n];
			while (up > 0 && this.functionOf[up] !== this.functionOf[n]) up = this.parent[up];
			outermost[n] = up > 0 ? 0 : 1;
		}
		return outermost;
	}
}
