/* Search: which functions a word is in, and the share of what goes through them. */

/* A set of functions, or null where nothing is searched. The word may be part of a
 * name or of a file; capitals count if it has some. */
export function find(data, word) {
	if (!word) return null;
	const exact = word !== word.toLowerCase();
	const fold = exact ? (s) => s : (s) => s.toLowerCase();
	const hit = data.strings.map((s) => fold(s).includes(word));
	const found = new Set();
	for (let f = 0; f < data.functionCount; f++) {
		if (hit[data.functions[3 * f]] || hit[data.functions[3 * f + 1]]) found.add(f);
	}
	return found;
}

/* What goes through any of them, each stack counted once. */
export function matched(data, now, found) {
	const hit = new Uint8Array(data.size);
	let sum = 0;
	for (let n = 1; n < data.size; n++) {
		hit[n] = hit[data.parent[n]] || found.has(data.functionOf[n]) ? 1 : 0;
		if (hit[n]) sum += now.own[n];
	}
	return sum;
}
