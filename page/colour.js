/* Colours of frames: by where the code lives, or by the difference. */

const FULL = 0.25; /* a difference of this share has the full colour */

function hash(text) {
	let h = 2166136261;
	for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
	return h >>> 0;
}

/* One hue for a folder, one shade for a function, remembered by function. */
export class Palette {
	#data;
	#dark;
	#known = new Map();

	constructor(data, dark) {
		this.#data = data;
		this.#dark = dark;
	}

	function(f) {
		let colour = this.#known.get(f);
		if (!colour) {
			const file = this.#data.file(f);
			const hue = hash(file.slice(0, file.lastIndexOf("/") + 1)) % 360;
			const shade = hash(this.#data.name(f)) % 12;
			const plain = file ? 45 : 0;
			const light = this.#dark ? 26 + shade : 72 + shade;
			colour = `hsl(${hue} ${plain}% ${light}%)`;
			this.#known.set(f, colour);
		}
		return colour;
	}

	/* share: how much more of the whole than before, from -1 to 1. */
	difference(share) {
		const part = Math.min(1, Math.sqrt(Math.abs(share) / FULL));
		const hue = share > 0 ? 8 : 215;
		const light = this.#dark ? 24 + 16 * part : 90 - 28 * part;
		return `hsl(${hue} ${Math.round(75 * part)}% ${light}%)`;
	}

	get text() {
		return this.#dark ? "#f2f2f2" : "#1b1b1b";
	}

	get back() {
		return this.#dark ? "#16181c" : "#ffffff";
	}

	get found() {
		return this.#dark ? "#d9b300" : "#ffd21f";
	}

	get foundText() {
		return "#1b1b1b";
	}

	get ring() {
		return this.#dark ? "#ffffff" : "#000000";
	}
}
