/* What each stack weighs under a choice of profiles, value and labels. */

/* labels: a map from key to the one value wanted. */
export function weigh(data, profiles, { value, weight, labels }) {
	const own = new Float64Array(data.size);
	let seconds = 0;
	for (const i of profiles) {
		const profile = data.profiles[i];
		add(own, profile, value, allowed(profile.labels, labels));
		seconds += profile.duration_ns / 1e9;
	}
	const sum = own.reduce((a, b) => a + b, 0);
	const divisor = weight === "rate" ? seconds : weight === "share" ? sum : 1;
	if (divisor && divisor !== 1) for (let n = 0; n < own.length; n++) own[n] /= divisor;
	return own;
}

function add(own, profile, value, allow) {
	const step = 2 + profile.values.length;
	const samples = profile.samples;
	for (let i = 0; i < samples.length; i += step) {
		if (allow[samples[i + 1]]) own[samples[i]] += samples[i + 2 + value];
	}
}

function allowed(sets, wanted) {
	return sets.map((set) => {
		const has = new Map(set);
		return [...wanted].every(([key, value]) => has.get(key) === value);
	});
}

/* With what is below: own is left as it is. */
export function totals(data, own) {
	const total = Float64Array.from(own);
	for (let n = data.size - 1; n > 0; n--) total[data.parent[n]] += total[n];
	return total;
}
