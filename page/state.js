/* What is chosen, kept behind the # of the address: a view can be sent to others
 * who have the same file, and the browser's Back works. */

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
export function read(hash, initial) {
	const state = { ...NOTHING, ...initial, labels: new Map() };
	for (const [key, text] of new URLSearchParams(hash.replace(/^#/, ""))) {
		if (key.startsWith("label.")) state.labels.set(key.slice(6), text);
		else if (!Object.hasOwn(NOTHING, key) || key === "labels") continue;
		else if (KNOWN[key] && !KNOWN[key].includes(text)) continue;
		else if (LISTS.has(key)) state[key] = text.split(",").filter(Boolean).map(Number);
		else if (typeof NOTHING[key] === "number") state[key] = Math.trunc(Number(text)) || 0;
		else if (typeof NOTHING[key] === "boolean") state[key] = text === "true";
		else state[key] = text;
	}
	return state;
}

export function write(state, initial) {
	const words = new URLSearchParams();
	for (const key of Object.keys(NOTHING)) {
		if (key === "labels") continue;
		const text = String(state[key]);
		if (text !== String(initial[key] ?? NOTHING[key])) words.set(key, text);
	}
	for (const [key, text] of state.labels) words.set(`label.${key}`, text);
	return words.size ? `#${words}` : "#";
}
