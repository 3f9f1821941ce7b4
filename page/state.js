/* What is chosen, kept behind the # of the address: a view can be sent to others
 * who see the same profiles, and the browser's Back works. */

const LISTS = new Set(["show", "base"]);

export const NOTHING = {
	kind: "", show: [], base: [], value: -1, weight: "sum", labels: new Map(),
	search: "", pivot: -1, zoom: 0, lines: false, theme: "", sort: "self",
};

/* What an address may ask for, besides numbers. */
const KNOWN = {
	weight: ["sum", "rate", "share"],
	theme: ["", "light", "dark"],
	sort: ["name", "place", "self", "total", "difference"],
};

/* Addresses come from anywhere: what is no such word or number is left out. */
export function read(hash, initial, data) {
	const state = { ...NOTHING, ...initial, labels: new Map() };
	for (const [key, text] of new URLSearchParams(hash.replace(/^#/, ""))) {
		if (key.startsWith("label.")) state.labels.set(key.slice(6), text);
		else if (!Object.hasOwn(NOTHING, key) || key === "labels") continue;
		else if (KNOWN[key] && !KNOWN[key].includes(text)) continue;
		else if (LISTS.has(key)) state[key] = text.split(",").map((k) => data.withKey(k));
		else if (key === "pivot") state.pivot = data.functionWithKey(text);
		else if (typeof NOTHING[key] === "number") state[key] = Math.trunc(Number(text)) || 0;
		else if (typeof NOTHING[key] === "boolean") state[key] = text === "true";
		else state[key] = text;
	}
	return state;
}

/* Others may have words in the address as well: `hash` is what it was. */
export function write(state, initial, data, hash) {
	const words = without(hash, (key) => Object.hasOwn(NOTHING, key) || key.startsWith("label."));
	for (const key of Object.keys(NOTHING)) {
		if (key === "labels") continue;
		const text = String(state[key]);
		if (text === String(initial[key] ?? NOTHING[key])) continue;
		if (LISTS.has(key)) words.set(key, state[key].map((i) => data.keyOf(i)).join(","));
		else words.set(key, key === "pivot" ? data.functionKey(state.pivot) : text);
	}
	for (const [key, text] of state.labels) words.set(`label.${key}`, text);
	return words.size ? `#${words}` : "#";
}

/* The words of an address without those of which gone(key) is true. */
export function without(hash, gone) {
	const words = new URLSearchParams(hash.replace(/^#/, ""));
	return new URLSearchParams([...words].filter(([key]) => !gone(key)));
}
