/* The page as the local service has it: it asks for what is stored, and for the
 * profiles that are chosen. */

import { Choice, query, read, write } from "./choice.js";
import { Data } from "./data.js";
import { Page } from "./page.js";
import { without } from "./state.js";

const at = (id) => document.getElementById(id);

class Refused extends Error {
	constructor(status, words) {
		super(words);
		this.status = status;
	}
}

async function ask(path, options) {
	let answer;
	try {
		answer = await fetch(path, options);
	} catch (e) {
		if (e.name === "AbortError") throw e;
		throw new Refused(0, "the service does not answer: is it still running?");
	}
	if (!answer.ok) throw new Refused(answer.status, await answer.text());
	return answer;
}

/* How many profiles there are, and whether they are all that fit. */
function counted(shown, fitting) {
	if (shown === fitting) return `${shown} ${shown === 1 ? "profile" : "profiles"}`;
	return `the newest ${shown} of ${fitting} profiles (choose fewer to see others)`;
}

class Service {
	#asking = null;
	#page = null;
	#words = "";

	constructor() {
		this.choice = new Choice(at("choice"), (words) => {
			history.pushState(null, "", write(location.hash, words));
			this.load();
		});
		at("refresh").addEventListener("click", () => this.load());
		at("login").addEventListener("submit", (e) => {
			e.preventDefault();
			this.#login();
		});
		addEventListener("hashchange", () => {
			if (this.#wanted() !== this.#words) this.load();
		});
		this.load();
	}

	/* Ask for everything anew; an earlier question is of no interest then. */
	async load() {
		this.#asking?.abort();
		const asking = new AbortController();
		this.#asking = asking;
		this.#words = this.#wanted();
		at("say").textContent = "Loading\u2026";
		try {
			const options = { signal: asking.signal };
			const stored = await (await ask("stored", options)).json();
			if (!stored.choices.length) {
				this.#welcome(stored);
				return;
			}
			const words = this.choice.show(stored.choices, read(location.hash));
			const asked = query(words, stored.now);
			const raw = await (await ask(`profiles?${asked}`, options)).json();
			if (asking === this.#asking) this.#take(raw);
		} catch (e) {
			if (asking === this.#asking) this.#fail(e);
		}
	}

	#wanted() {
		return JSON.stringify([...read(location.hash)]);
	}

	#take(raw) {
		const [now, before] = raw.shown.map((nr, i) => counted(nr, raw.fitting[i])).reverse();
		const there = raw.shown.at(-1) > 0;
		this.#see(there ? ["choices", "tools", "views"] : ["choices"]);
		at("say").textContent = before === undefined ? now : `${now}, compared with ${before}`;
		if (!there) return;
		const data = new Data(raw);
		at("kind").parentElement.hidden = data.kinds().length < 2;
		if (this.#page === null) {
			this.#page = new Page(data);
			return;
		}
		/* Frames are numbered anew. */
		const words = without(location.hash, (key) => key === "zoom");
		history.replaceState(null, "", `#${words}`);
		this.#page.take(data);
	}

	#welcome({ endpoint, directory }) {
		for (const place of document.querySelectorAll(".endpoint")) place.textContent = endpoint;
		at("directory").textContent = directory;
		at("say").textContent = "";
		this.#see(["welcome"]);
	}

	#fail(e) {
		at("say").textContent = e.message;
		if (e.status === 401) {
			this.#see(["login"]);
			at("token").focus();
		} else if (!(e instanceof Refused)) {
			throw e;
		}
	}

	async #login() {
		const body = at("token").value;
		at("token").value = "";
		try {
			await ask("login", { method: "POST", headers: { "X-Profiler-Page": "1" }, body });
			await this.load();
		} catch (e) {
			this.#fail(e);
		}
	}

	/* Of the parts that are not always seen, only these. */
	#see(parts) {
		for (const id of ["choices", "tools", "views", "welcome", "login"]) {
			at(id).hidden = !parts.includes(id);
		}
		if (at("choices").hidden) at("other").hidden = true;
	}
}

/* What is seen before there is a page. */
document.documentElement.dataset.theme =
	matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
new Service();
