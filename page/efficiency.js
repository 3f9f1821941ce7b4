/* What a profile's comments say of how good it is and what it cost. */

const LINE = /^sampler: ([\d.]+ ms of CPU) \(([\d.]+) % of a core\), (\d+) ticks, (\d+) missed/;

/* {ticks, missed, cost} as words; empty ones where another agent made it. */
export function efficiency(comments) {
	for (const comment of comments) {
		const found = LINE.exec(comment);
		if (found) {
			const [, cpu, share, ticks, missed] = found;
			return { ticks, missed, cost: `${share}% of a core (${cpu})` };
		}
	}
	return { ticks: "", missed: "", cost: "" };
}
