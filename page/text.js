/* Names, numbers and shares as a person reads them. */

const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu;
const TIME = { nanoseconds: 1, microseconds: 1e3, milliseconds: 1e6, seconds: 1e9 };
const TIME_STEPS = [[1e9, "s"], [1e6, "ms"], [1e3, "us"], [1, "ns"]];
const BYTE_STEPS = [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [1, "B"]];

/* A name from outside with what cannot be seen, or turns the order of reading,
 * written out: two names that differ look different. */
export function visible(name) {
	return name.replace(UNSEEN, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

function scaled(value, steps) {
	if (!value) return "0";
	const size = Math.abs(value);
	const [step, unit] = steps.find(([s]) => size >= 0.9995 * s) ?? steps.at(-1);
	const number = value / step;
	const large = Math.abs(number);
	const digits = step === 1 || large >= 99.95 ? 0 : large >= 9.995 ? 1 : 2;
	return `${number.toFixed(digits)} ${unit}`;
}

export function amount(value, unit) {
	if (unit in TIME) return scaled(value * TIME[unit], TIME_STEPS);
	if (unit === "bytes") return scaled(value, BYTE_STEPS);
	return Number.isInteger(value) ? String(value) : value.toPrecision(3);
}

export function percent(value, total) {
	return `${(total ? (100 * value) / total : 0).toFixed(1)}%`;
}

/* How numbers of a view are written: as recorded, by the second, or as shares. */
export function formatter(weight, unit) {
	if (weight === "share") return (value) => percent(value, 1);
	if (weight === "rate") return (value) => `${amount(value, unit)}/s`;
	return (value) => amount(value, unit);
}

export function signed(format, value) {
	return value > 0 ? `+${format(value)}` : format(value);
}

export function place(file, line) {
	return visible(file && line ? `${file}:${line}` : file);
}
