/*
 * Which of the stored profiles are looked at. Each field of the form has a name, which
 * is its word in the address as well. A word that is not there means: the usual
 * service and type, all versions and zones, all times, no comparison.
 */

import { option } from "./controls.js";
import { without } from "./state.js";

const BEFORE = "before."; /* begins the words of what it is compared with */
const SIDE = ["version", "zone", "when", "from", "to"];
const WORDS = ["target", "type", ...SIDE, "compare", ...SIDE.map((word) => BEFORE + word)];
/* Of the page's own words, those that mean certain profiles. */
const OF_PROFILES = ["kind", "show", "base", "value", "zoom"];

const ALL = [["", "all"]];
const BETWEEN = "between";
const PREVIOUS = "previous";
const TIMES = [
	["", "at any time"], ["900", "in the last 15 minutes"], ["3600", "in the last hour"],
	["86400", "in the last day"], ["604800", "in the last week"], [BETWEEN, "between"],
];
const TIMES_BEFORE = [...TIMES, [PREVIOUS, "as long before that"]];

export function read(hash) {
	const all = new URLSearchParams(hash.replace(/^#/, ""));
	return new Map(WORDS.filter((word) => all.has(word)).map((word) => [word, all.get(word)]));
}

/* An address with other words of ours, without what is shown of certain profiles. */
export function write(hash, words) {
	const all = without(hash, (key) => WORDS.includes(key) || OF_PROFILES.includes(key));
	for (const [word, text] of words) all.set(word, text);
	return `#${all}`;
}

/* What the service is asked for. `now` is its time, in seconds since 1970. */
export function query(words, now) {
	const asked = new URLSearchParams({ target: words.get("target"), type: words.get("type") });
	for (const side of words.has("compare") ? ["", BEFORE] : [""]) {
		for (const key of ["version", "zone"]) {
			if (words.has(side + key)) asked.set(side + key, words.get(side + key));
		}
		const [from, to] = times(words, side, now);
		if (from > 0) asked.set(`${side}from`, from);
		if (to < Infinity) asked.set(`${side}to`, to);
	}
	if (words.has("compare")) asked.set("compare", "");
	return asked;
}

function times(words, side, now) {
	const when = words.get(`${side}when`) ?? "";
	if (when === BETWEEN) {
		return [seconds(words.get(`${side}from`)) ?? 0, seconds(words.get(`${side}to`)) ?? Infinity];
	}
	if (when === PREVIOUS && side) {
		const [from, to] = times(words, "", now);
		return [Math.max(0, 2 * from - Math.min(to, now)), from];
	}
	const length = Number.parseInt(when, 10);
	return [length > 0 ? Math.max(0, now - length) : 0, Infinity];
}

/* Of the text of a field for date and time, as UTC; null where it is none. */
function seconds(text) {
	const value = Date.parse(`${text}Z`) / 1000;
	return value >= 0 ? Math.trunc(value) : null;
}

export class Choice {
	#form;

	/* change(words): others were chosen. */
	constructor(form, change) {
		this.#form = form;
		form.addEventListener("submit", (e) => e.preventDefault());
		form.addEventListener("change", (e) => {
			const words = this.#words();
			/* Another service has other versions and zones. */
			if (e.target.name === "target") {
				for (const word of ["version", "zone", "before.version", "before.zone"]) {
					words.delete(word);
				}
			}
			change(words);
		});
	}

	/* Show what is stored, and what of it is wanted; returns this as words, with the
	 * usual where nothing is said. */
	show(choices, wanted) {
		const words = new Map(wanted);
		const unique = (key, of) => [...new Set(of.map((choice) => choice[key]))];
		const targets = unique("target", choices);
		if (!targets.includes(words.get("target"))) words.set("target", targets[0]);
		const own = choices.filter((choice) => choice.target === words.get("target"));
		const types = unique("type", own).sort();
		if (!types.includes(words.get("type"))) words.set("type", types[0]);
		this.#fill("target", targets.sort().map(exactly("unknown")), words);
		this.#fill("type", types.map(exactly("unknown")), words);
		for (const side of ["", BEFORE]) {
			for (const key of ["version", "zone"]) {
				const known = new Set(unique(key, own));
				if (words.has(side + key)) known.add(words.get(side + key));
				this.#fill(side + key, [...ALL, ...[...known].sort().map(exactly("none"))], words);
			}
			this.#fill(`${side}when`, side ? TIMES_BEFORE : TIMES, words);
			for (const key of ["from", "to"]) {
				this.#field(side + key).value = words.get(side + key) ?? "";
			}
			this.#form.querySelector(`[data-between="${side}"]`).hidden =
				words.get(`${side}when`) !== BETWEEN;
		}
		this.#field("compare").checked = words.has("compare");
		document.getElementById("other").hidden = !words.has("compare");
		return words;
	}

	#field(name) {
		return this.#form.elements.namedItem(name);
	}

	#fill(name, options, words) {
		const chosen = NAMED.has(name.replace(BEFORE, "")) && words.has(name)
			? `=${words.get(name)}` : words.get(name) ?? "";
		this.#field(name).replaceChildren(
			...options.map(([value, text]) => option(value, text, value === chosen)));
	}

	#words() {
		const words = new Map();
		for (const name of WORDS) {
			const { type, checked, value } = this.#field(name);
			if (type === "checkbox") {
				if (checked) words.set(name, "");
			} else if (value) {
				words.set(name, NAMED.has(name.replace(BEFORE, "")) ? value.slice(1) : value);
			}
		}
		return words;
	}
}

/* Names come from outside, and may be empty: an option that is one begins with =. */
const NAMED = new Set(["target", "type", "version", "zone"]);

function exactly(ofEmpty) {
	return (name) => [`=${name}`, name || ofEmpty];
}
