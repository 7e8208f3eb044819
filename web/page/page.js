// SPDX-License-Identifier: Apache-2.0
// page.js - the status page: three live tables, and why
//
// Whatever comes from berthd is put into the page as text nodes only. Of the
// table only the rows in sight exist.
"use strict";
(() => {
const POLL_MS = 2000;
const TIMEOUT_MS = 15000;
const EXPLAIN_POLLS = 3;
const ROW_PX = 30;
const OVERSCAN = 6;
const SAMPLES = 40;
const SVG = "http://www.w3.org/2000/svg";
const ALL = "*";

// Levels: 0 works, 1 idle, 2 look at it, 3 does not work.
const LEVELS = {
	ok: 0, listening: 0, present: 0, added: 0, found: 0, up: 0,
	unknown: 1, draining: 1, none: 1, leaving: 1,
	waiting: 2, pending: 2, lingering: 2, limited: 2, absent: 2,
	shadowed: 2,
	refused: 3, unreachable: 3, "backend-down": 3, down: 3,
};
const MARKS = ["●", "○", "▲", "■"];

const byId = (id) => document.getElementById(id);
const collator = new Intl.Collator(undefined, { numeric: true });
const whole = new Intl.NumberFormat("en");

// Text

// Characters that would not be seen, or change how others are seen.
const HIDDEN = new RegExp("[\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u061c" +
	"\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff" +
	"\\ufff9-\\ufffb]", "g");
const shown = (value) => String(value ?? "").replace(HIDDEN, (character) =>
	"\\u{" + character.codePointAt(0).toString(16) + "}");

function element(tag, attributes = {}, ...children) {
	const made = document.createElement(tag);

	for (const [name, value] of Object.entries(attributes))
		made.setAttribute(name, value);
	for (const child of children)
		if (child !== null && child !== undefined)
			made.append(child instanceof Node ? child
				: shown(child));
	return made;
}

function setText(node, value) {
	const text = shown(value);

	if (node.textContent !== text)
		node.textContent = text;
}

function amount(value) {
	const units = ["", "k", "M", "G", "T"];
	let unit = 0;

	while (value >= 999.5 && unit < units.length - 1) {
		value /= 1000;
		unit++;
	}
	const digits = value >= 99.5 || (unit === 0 && value % 1 === 0) ? 0 : 1;
	return value.toFixed(digits) + " " + units[unit];
}

function duration(us) {
	const seconds = Math.max(0, us) / 1e6;

	if (seconds < 10)
		return seconds.toFixed(1) + " s";
	if (seconds < 120)
		return Math.round(seconds) + " s";
	if (seconds < 7200)
		return Math.round(seconds / 60) + " min";
	if (seconds < 172800)
		return Math.round(seconds / 3600) + " h";
	return Math.round(seconds / 86400) + " days";
}

const endpoint = (one) => {
	const address = String(one.address);

	return `${one.protocol} ` + (address.includes(":") ? `[${address}]`
		: address) + `:${one.port}`;
};

// Rates: what a counter gained since the last look, each second.

class History {
	constructor() {
		this.last = null;
		this.samples = [];
		this.rate = 0;
	}

	add(value, seconds) {
		const gained = this.last === null ? 0 : value - this.last;

		this.last = value;
		// A counter that begins anew says nothing about this time.
		this.push(gained > 0 && seconds > 0 ? gained / seconds : 0);
	}

	push(rate) {
		this.rate = rate;
		this.samples.push(rate);
		if (this.samples.length > SAMPLES)
			this.samples.shift();
	}
}

function chart(className) {
	const svg = document.createElementNS(SVG, "svg");

	svg.setAttribute("viewBox", "0 0 100 24");
	svg.setAttribute("preserveAspectRatio", "none");
	svg.setAttribute("aria-hidden", "true");
	svg.setAttribute("class", className);
	for (const name of ["area", "line"]) {
		const path = document.createElementNS(SVG, "path");

		path.setAttribute("class", name);
		svg.append(path);
	}
	return svg;
}

function draw(svg, samples) {
	const max = Math.max(...samples, 0);
	const step = 100 / (SAMPLES - 1);
	const begin = SAMPLES - samples.length;
	let path = "";

	if (max > 0 && samples.length > 1)
		path = samples.map((value, i) =>
			(i ? "L" : "M") + ((begin + i) * step).toFixed(1) +
			" " + (23 - 21 * value / max).toFixed(1)).join("");
	if (svg.dataset.path === path)
		return;
	svg.dataset.path = path;
	svg.lastChild.setAttribute("d", path);
	svg.firstChild.setAttribute("d", path && path + "L100 24L" +
		(begin * step).toFixed(1) + " 24Z");
}

// The model: rows of the three tables

const state = {
	view: "listeners", search: "", problems: false, sort: {},
	rows: { listeners: [], namespaces: [], containers: [] },
	visible: [], selected: null, explained: null, loadedAt: 0,
};
let rates = new Map();
const totals = { connections: new History(), received: new History(),
	sent: new History() };

function keepRate(kept, key, value, seconds) {
	const history = rates.get(key) ?? new History();

	history.add(value, seconds);
	kept.set(key, history);
	return history;
}

const levelOf = (status) => LEVELS[status] ?? 1;

function finish(row, texts) {
	row.level = levelOf(row.status);
	row.hay = texts.concat(row.status, row.reason).join("\n").toLowerCase();
	return row;
}

function listenerRow(one, inside, kept, seconds) {
	const container = one.container ?? inside ?? "";
	const counters = one.counters ?? {};
	const bytes = (counters.bytes_in ?? 0) + (counters.bytes_out ?? 0);
	const health = one.state === "listening" && one.health
		? one.health : one.state;

	return finish({
		key: "l" + one.id + (one.draining ? "d" + one.draining.pid : ""),
		explain: String(one.namespace_id),
		title: one.namespace,
		status: health,
		reason: one.reason ?? one.health_reason ?? "",
		namespace: one.namespace,
		container,
		endpoint: endpoint(one),
		rule: one.rule,
		action: one.consumer && one.action === "handoff"
			? one.consumer : one.action,
		active: counters.active ?? 0,
		accepted: counters.accepted ?? 0,
		counters,
		history: keepRate(kept, "l" + one.id, bytes, seconds),
		netns: one.namespace_id,
	}, [one.namespace, container, endpoint(one), one.rule,
		one.action, one.consumer, one.interface ?? ""]);
}

const nameOf = (netns) => netns.host ? "host"
	: netns.names.map((name) => name.name).join(", ") || String(netns.id);

function labelsOf(container) {
	return Object.entries(container.labels ?? {}).map(([key, value]) =>
		value === "" ? key : `${key}=${value}`);
}

function containerRow(one, netns, worst) {
	const labels = labelsOf(one).join(" ");
	const name = netns ? nameOf(netns) : "";

	return finish({
		key: "c" + [one.source, one.pod_namespace, one.name, one.id,
			netns?.id].join("\0"),
		explain: netns ? String(netns.id) : one.name,
		title: one.name,
		status: netns ? worst?.status ?? "none" : "pending",
		reason: netns ? worst?.reason ?? "" : one.reason ?? "",
		name: one.name,
		pod: one.pod_namespace,
		runtime: one.runtime,
		namespace: name,
		pid: one.pid ?? "",
		labels,
	}, [one.name, one.pod_namespace, one.runtime, name, labels, one.id,
		String(one.pid ?? "")]);
}

// What the namespaces' listeners are like, together.
function gather(listeners) {
	const of = new Map();

	for (const row of listeners) {
		const known = of.get(row.netns);

		if (!known) {
			of.set(row.netns, { worst: row, active: row.active,
				bytes: row.history.last ?? 0,
				rate: row.history.rate });
			continue;
		}
		known.active += row.active;
		known.rate += row.history.rate;
		if (row.level > known.worst.level)
			known.worst = row;
	}
	return of;
}

function namespaceRow(netns, of, kept) {
	const containers = netns.containers.map((one) => one.name).join(", ");
	const addresses = netns.addresses.map((one) => one.address).join(" ");
	const found = of.get(netns.id);
	const history = rates.get("n" + netns.id) ?? new History();

	history.push(found?.rate ?? 0);
	kept.set("n" + netns.id, history);
	return finish({
		key: "n" + netns.id,
		explain: String(netns.id),
		title: nameOf(netns),
		status: found?.worst.status ?? "none",
		reason: found?.worst.reason ?? "",
		name: nameOf(netns),
		containers,
		addresses,
		open: netns.listeners.open,
		others: netns.listeners.waiting + netns.listeners.refused,
		active: found?.active ?? 0,
		history,
	}, [nameOf(netns), containers, addresses, String(netns.id),
		...netns.names.map((name) => name.directory)]);
}

function otherNamespaceRow(status, name, reason, explain) {
	return finish({
		key: status + explain, explain, title: name, status, reason, name,
		containers: "", addresses: "", open: 0, others: 0, active: 0,
		history: new History(),
	}, [name]);
}

function build(namespaces, listeners, seconds) {
	const kept = new Map();
	const inside = new Map(namespaces.namespaces.map((netns) =>
		[netns.id, netns.containers.map((one) => one.name).join(", ")]));
	const rows = listeners.listeners.map((one) => listenerRow(one,
		inside.get(one.namespace_id), kept, seconds));
	const of = gather(rows);
	const containers = [];
	const places = namespaces.namespaces.map((netns) => {
		for (const one of netns.containers)
			containers.push(containerRow(one, netns,
				of.get(netns.id)?.worst));
		return namespaceRow(netns, of, kept);
	});

	for (const one of namespaces.pending ?? [])
		places.push(otherNamespaceRow("pending", one.name, one.reason,
			`${one.directory}/${one.name}`));
	for (const one of namespaces.lingering ?? [])
		places.push(otherNamespaceRow("lingering", one.name,
			`gone ${duration(one.since_us)} ago and not freed`,
			String(one.id)));
	for (const one of namespaces.pending_containers ?? [])
		containers.push(containerRow(one, null, null));
	rates = kept;
	state.rows = { listeners: rows, namespaces: places, containers };
	addTotals(rows, seconds);
}

function addTotals(rows, seconds) {
	const sums = { accepted: 0, bytes_in: 0, bytes_out: 0 };

	// Of each listener, so that one that goes takes nothing away.
	for (const row of rows) {
		for (const name of Object.keys(sums)) {
			const before = addTotals.before.get(row.key)?.[name];
			const now = row.counters[name] ?? 0;

			if (before !== undefined && now > before)
				sums[name] += now - before;
		}
	}
	addTotals.before = new Map(rows.map((row) => [row.key, row.counters]));
	const each = (value) => seconds > 0 ? value / seconds : 0;
	totals.connections.push(each(sums.accepted));
	totals.received.push(each(sums.bytes_in));
	totals.sent.push(each(sums.bytes_out));
}
addTotals.before = new Map();

// The table: columns of each view

function statusCell(td, row) {
	if (!td.firstChild)
		td.append(element("span", { class: "mark",
			"aria-hidden": "true" }), element("span"));
	td.firstChild.className = "mark level-" + row.level;
	td.lastChild.className = "word level-" + row.level;
	setText(td.firstChild, MARKS[row.level]);
	setText(td.lastChild, row.status === "none" ? "no listener"
		: row.status);
}

function trafficCell(td, row) {
	if (!td.firstChild)
		td.append(chart("spark"), element("span"));
	draw(td.firstChild, row.history.samples);
	td.lastChild.className = row.history.rate ? "" : "dim";
	setText(td.lastChild, row.history.rate
		? amount(row.history.rate) + "B/s" : "–");
}

const text = (name) => (td, row) => {
	setText(td, row[name]);
	td.title = td.textContent;
};
const number = (name) => (td, row) => {
	setText(td, row[name] ? whole.format(row[name]) : "–");
	td.classList.toggle("dim", !row[name]);
};
const othersCell = (td, row) => {
	setText(td, row.others ? row.others : "–");
	td.classList.toggle("dim", !row.others);
	td.classList.toggle("level-2", row.others > 0);
};

const STATUS = { id: "status", label: "Health", width: "132px",
	cell: statusCell, value: (row) => row.level * 100 +
		(Object.keys(LEVELS).indexOf(row.status) + 1), down: true };
const TRAFFIC = { id: "traffic", label: "Traffic", width: "158px",
	class: "traffic number", cell: trafficCell,
	value: (row) => row.history.rate, down: true };
const ACTIVE = { id: "active", label: "Clients", width: "70px",
	class: "number middle", cell: number("active"), down: true };
const REASON = { id: "reason", label: "Reason", class: "dim wide",
	cell: text("reason") };

const VIEWS = {
	listeners: [STATUS,
		{ id: "namespace", label: "Namespace", cell: text("namespace"),
			width: "13%" },
		{ id: "container", label: "Container", class: "middle",
			width: "12%", cell: text("container") },
		{ id: "endpoint", label: "Listener", class: "mono",
			width: "15%", cell: text("endpoint") },
		{ id: "rule", label: "Rule", class: "middle", width: "9%",
			cell: text("rule") },
		ACTIVE, TRAFFIC, REASON],
	namespaces: [STATUS,
		{ id: "name", label: "Namespace", cell: text("name"),
			width: "13%" },
		{ id: "containers", label: "Containers", class: "middle",
			width: "12%", cell: text("containers") },
		{ id: "addresses", label: "Addresses", class: "mono wide",
			width: "12%", cell: text("addresses") },
		{ id: "open", label: "Open", class: "number middle",
			width: "64px", cell: number("open"), down: true },
		{ id: "others", label: "Not open", class: "number middle",
			width: "84px", cell: othersCell, down: true },
		ACTIVE, TRAFFIC, REASON],
	containers: [STATUS,
		{ id: "name", label: "Container", cell: text("name"),
			width: "18%" },
		{ id: "pod", label: "Pod namespace", class: "middle",
			width: "12%", cell: text("pod") },
		{ id: "namespace", label: "Namespace", width: "15%",
			cell: text("namespace") },
		{ id: "runtime", label: "Runtime", class: "middle",
			width: "86px", cell: text("runtime") },
		{ id: "pid", label: "PID", class: "number wide", width: "76px",
			cell: text("pid") },
		{ id: "labels", label: "Labels", class: "mono middle dim",
			width: "20%", cell: text("labels") },
		REASON],
};

const NOTHING = {
	listeners: "No listener yet. A rule in /etc/berth/rules.d says which " +
		"namespaces get which listeners; berth-rules(5) describes it.",
	namespaces: "berthd knows no namespace.",
	containers: "berthd was told of no container. berth-hook(8) and " +
		"berth-follow(8) tell it of those of container engines.",
};

const grid = byId("grid");
const body = grid.tBodies[0];
const scroll = byId("scroll");
const top_ = element("tr", { class: "space", "aria-hidden": "true" },
	element("td"));
const bottom = top_.cloneNode(true);

function columnValue(column, row) {
	return column.value ? column.value(row) : row[column.id];
}

function compare(column, a, b) {
	const x = columnValue(column, a), y = columnValue(column, b);

	return typeof x === "number" && typeof y === "number" ? x - y
		: collator.compare(String(x), String(y));
}

function sorting() {
	const columns = VIEWS[state.view];
	const sort = state.sort[state.view] ?? { id: columns[1].id, down: false };

	return { column: columns.find((one) => one.id === sort.id),
		down: sort.down };
}

function choose() {
	const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
	const { column, down } = sorting();
	const first = VIEWS[state.view][1];

	state.visible = state.rows[state.view].filter((row) =>
		(!state.problems || row.level >= 2) &&
		words.every((word) => row.hay.includes(word)));
	state.visible.sort((a, b) => (down ? -1 : 1) * compare(column, a, b) ||
		compare(first, a, b) || collator.compare(a.key, b.key));
}

function makeHead() {
	const { column, down } = sorting();
	const head = grid.tHead.rows[0];

	head.replaceChildren(...VIEWS[state.view].map((one) => {
		const th = element("th", { role: "columnheader", scope: "col",
			class: one.class ?? "", id: "column-" + one.id },
			element("button", { tabindex: "-1" }, one.label));

		if (one.width)
			th.style.width = one.width;
		if (one === column)
			th.setAttribute("aria-sort", down ? "descending"
				: "ascending");
		th.firstChild.addEventListener("click", () => sortBy(one));
		return th;
	}));
	grid.setAttribute("aria-colcount", VIEWS[state.view].length);
	grid.setAttribute("aria-label", byId("tab-" + state.view)
		.firstChild.textContent.trim());
}

function sortBy(column) {
	const now = sorting();

	state.sort[state.view] = { id: column.id, down: now.column === column
		? !now.down : Boolean(column.down) };
	makeHead();
	choose();
	scroll.scrollTop = 0;
	render();
}

function makeRow() {
	const tr = element("tr", { role: "row" });

	for (const column of VIEWS[state.view])
		tr.append(element("td", { role: "gridcell",
			class: column.class ?? "" }));
	return tr;
}

function fillRow(tr, row, index) {
	const chosen = row.key === state.selected;

	tr.dataset.index = index;
	tr.id = "row-" + index;
	tr.setAttribute("aria-rowindex", index + 2);
	tr.setAttribute("aria-selected", chosen);
	VIEWS[state.view].forEach((column, i) => column.cell(tr.cells[i], row));
	if (chosen)
		grid.setAttribute("aria-activedescendant", tr.id);
}

// Makes the rows in sight, of elements that exist as far as possible.
function render() {
	const rows = state.visible;
	const fit = Math.ceil(scroll.clientHeight / ROW_PX) + 2 * OVERSCAN;
	const first = Math.max(0, Math.min(rows.length - fit,
		Math.floor(scroll.scrollTop / ROW_PX) - OVERSCAN));
	const last = Math.min(rows.length, first + fit);

	while (body.rows.length - 2 > last - first)
		body.rows[body.rows.length - 2].remove();
	while (body.rows.length - 2 < last - first)
		bottom.before(makeRow());
	top_.firstChild.style.height = first * ROW_PX + "px";
	bottom.firstChild.style.height = (rows.length - last) * ROW_PX + "px";
	grid.removeAttribute("aria-activedescendant");
	for (let i = first; i < last; i++)
		fillRow(body.rows[1 + i - first], rows[i], i);
	grid.setAttribute("aria-rowcount", rows.length + 1);
}

function makeTable() {
	body.replaceChildren(top_, bottom);
	makeHead();
	choose();
	render();
}

// Around the table

function tile(id, label, withChart) {
	const made = element("div", { class: "tile", id: "tile-" + id },
		element("b", {}, label), element("strong", {}, "–"),
		element("small", { class: "tile-extra" }));

	if (withChart)
		made.append(chart("spark"));
	byId("tiles").append(made);
}

function setTile(id, value, extra, samples) {
	const found = byId("tile-" + id);

	setText(found.children[1], value);
	setText(found.children[2], extra ?? "");
	if (samples)
		draw(found.lastChild, samples);
}

function showTiles(status) {
	const { listeners } = status;
	const active = state.rows.listeners.reduce((sum, row) =>
		sum + row.active, 0);
	const closed = [];

	if (listeners.waiting)
		closed.push(whole.format(listeners.waiting) + " waiting");
	if (listeners.refused)
		closed.push(whole.format(listeners.refused) + " refused");
	setTile("namespaces", whole.format(status.namespaces),
		status.lingering.length ? status.lingering.length + " lingering"
			: "");
	setTile("containers", whole.format(status.containers),
		status.pending_containers ? status.pending_containers +
			" pending" : "");
	setTile("listeners", whole.format(listeners.open), closed.join(", "));
	setTile("clients", whole.format(active));
	setTile("connections", amount(totals.connections.rate) + "/s", "",
		totals.connections.samples);
	setTile("received", amount(totals.received.rate) + "B/s", "",
		totals.received.samples);
	setTile("sent", amount(totals.sent.rate) + "B/s", "",
		totals.sent.samples);
	setText(byId("version"), status.version);
}

function problemTexts(files) {
	return files.flatMap((file) => file.problems.map((one) =>
		`${one.file}${one.line ? `:${one.line}:${one.column}` : ""}: ` +
		one.message + (file.last_good
			? " (an earlier version is in force)" : "")));
}

function showNotes(status) {
	const notes = [...problemTexts([status.config]),
		...problemTexts(status.files),
		...problemTexts(status.container_files)];
	const box = byId("notes");

	for (const one of status.consumers)
		if (!one.connected && one.undelivered + one.delivered > 0)
			notes.push(`Nobody serves ${one.undelivered +
				one.delivered} listeners: '${one.name}' is ` +
				"not connected.");
	for (const name of status.config.restart)
		notes.push(`'${name}' takes effect when berthd is started ` +
			"again.");
	if (!status.settled)
		notes.push("berthd is still looking at what exists.");
	const sum = notes.length === 1 ? notes[0]
		: `${notes.length} things to look at`;
	box.hidden = notes.length === 0;
	setText(box.firstElementChild, sum);
	if (box.dataset.notes !== notes.join("\n")) {
		box.dataset.notes = notes.join("\n");
		box.lastElementChild.replaceChildren(...(notes.length > 1
			? notes.map((note) => element("li", {}, note)) : []));
	}
}

function showCounts() {
	const rows = state.rows[state.view];
	const bad = rows.filter((row) => row.level >= 2).length;
	const everywhere = state.rows.listeners.filter((row) =>
		row.level >= 2).length;
	const narrowed = state.search || state.problems;

	for (const view of Object.keys(VIEWS)) {
		const tab = byId("tab-" + view);

		setText(tab.lastElementChild,
			whole.format(state.rows[view].length));
		tab.setAttribute("aria-selected", view === state.view);
		tab.tabIndex = view === state.view ? 0 : -1;
	}
	byId("panel").setAttribute("aria-labelledby", "tab-" + state.view);
	setText(byId("problems").lastElementChild, whole.format(bad));
	byId("problems").setAttribute("aria-pressed", state.problems);
	setText(byId("found"), narrowed ? `${whole.format(
		state.visible.length)} of ${whole.format(rows.length)}` : "");
	byId("empty").hidden = state.visible.length > 0 || !state.loadedAt;
	setText(byId("empty"), rows.length === 0 ? NOTHING[state.view]
		: state.problems && !state.search ? "No problem here."
			: "Nothing matches.");
	document.title = everywhere ? `(${everywhere}) berth` : "berth";
}

function showLive(className, message) {
	byId("live").className = className;
	setText(byId("live"), message);
	document.body.classList.toggle("stale", className === "bad" &&
		state.loadedAt > 0);
}

function refresh() {
	choose();
	render();
	showCounts();
	const hash = "#" + state.view + (state.problems ? "!" : "") +
		(state.search ? "/" + encodeURIComponent(state.search) : "");

	if (location.hash !== hash)
		history.replaceState(null, "", hash);
}

// Why: the panel

function list(title, items, make) {
	return items.length === 0 ? [] : [element("h3", {}, title),
		element("ul", {}, ...items.map(make))];
}

function statusLine(status, head, ...lines) {
	const level = levelOf(status);

	return element("li", {}, element("span", { class: "mark level-" + level,
		"aria-hidden": "true" }, MARKS[level]), head,
	element("span", { class: "level-" + level }, " " + status),
	...lines.filter(Boolean).map((line) =>
		element("div", { class: "dim" }, line)));
}

function wantedLine(one) {
	const status = one.state === "listening" && one.health ? one.health
		: one.state;
	const held = (one.held_by ?? []).map((holder) =>
		`held by a socket on ${holder.address} of uid ${holder.uid}`);
	const next = one.next_attempt_us
		? `next attempt in ${duration(one.next_attempt_us)}` : "";

	return statusLine(status, element("span", { class: "mono" },
		endpoint(one)), `rule ${one.rule}` + (one.interface
		? `, interface ${one.interface}` : ""),
	[one.error, one.reason ?? one.health_reason].filter(Boolean)
		.join(": "), ...held, next);
}

function verdictLine(one) {
	const level = one.matches ? 0 : 1;

	return element("li", {}, element("span", { class: "mark level-" + level,
		"aria-hidden": "true" }, MARKS[level]),
	element("b", {}, one.name), one.matches ? " matches"
		: " does not match", element("div", { class: "dim" },
		one.reason), element("div", { class: "dim" },
		`${one.file}:${one.line}`));
}

function containerLine(one) {
	return element("li", {}, element("b", {}, one.name), [one.pod_namespace
		&& ` in ${one.pod_namespace}`, one.runtime && `, ${one.runtime}`,
	one.pid && `, pid ${one.pid}`].filter(Boolean).join(""),
	element("div", {}, ...labelsOf(one).map((label) =>
		element("span", { class: "label" }, label))));
}

function explained(reply) {
	const netns = reply.namespace;
	const other = reply.pending ?? reply.lingering;
	const parts = [];

	if (netns)
		parts.push(element("p", { class: "dim" }, (netns.host
			? "the host's namespace" : netns.names.map((name) =>
				`${name.directory}/${name.name}`).join(", ")) +
			`, id ${netns.id}`));
	if (other)
		parts.push(element("p", {}, reply.pending ? other.reason
			: `Its name went ${duration(other.since_us)} ago, and ` +
			"the kernel has not freed it."));
	parts.push(...list("Listeners", reply.listeners, wantedLine));
	if (netns && reply.listeners.length === 0)
		parts.push(element("p", {}, "No rule wants a listener here."));
	if (reply.omitted)
		parts.push(element("p", { class: "level-3" },
			`${reply.omitted} more are above the limit.`));
	parts.push(...list("Shadowed", reply.shadowed, (one) =>
		statusLine("shadowed", element("span", { class: "mono" },
			endpoint(one)), `rule ${one.rule} loses to ` +
			one.winner, one.reason)),
	...list("Provided", reply.provisions, (one) => statusLine(one.state,
		element("span", { class: "mono" }, one.address
			? `${one.address} on ${one.interface}`
			: `${one.interface} up`), one.reason)),
	...list("Draining", reply.draining, (one) => statusLine("draining",
		element("span", { class: "mono" }, endpoint(one)))),
	...list("Rules", reply.rules, verdictLine),
	...list("Containers", netns?.containers ?? [], containerLine),
	...list("Addresses", netns?.addresses ?? [], (one) => element("li",
		{ class: one.usable ? "" : "level-2" },
		element("span", { class: "mono" }, `${one.address}/${one.prefix}`),
		` on ${one.interface}` + (one.usable ? ""
			: ", not usable now"))),
	...list("Problems in files", problemTexts([...reply.files ?? [],
		...reply.container_files ?? []]), (line) =>
		element("li", { class: "level-3" }, line)));
	return parts;
}

async function loadExplain() {
	const asked = state.explained;
	let parts;

	try {
		parts = explained(await load("explain?name=" +
			encodeURIComponent(asked)));
	} catch (error) {
		parts = [element("p", { class: "level-3" }, error.message)];
	}
	if (state.explained === asked)
		byId("explain-body").replaceChildren(...parts);
}

function openExplain(row) {
	state.explained = row.explain;
	setText(byId("explain-title"), row.title || row.explain);
	byId("explain-body").replaceChildren(element("p", { class: "dim" },
		"…"));
	byId("explain").hidden = false;
	byId("panel").className = "split";
	byId("explain-title").focus({ preventScroll: true });
	byId("explain").scrollTop = 0;
	render();
	loadExplain();
}

function closeExplain() {
	state.explained = null;
	byId("explain").hidden = true;
	byId("panel").className = "";
	grid.focus({ preventScroll: true });
	render();
}

// Keyboard and pointer

function select(index) {
	const row = state.visible[Math.max(0, Math.min(index,
		state.visible.length - 1))];

	if (!row)
		return;
	state.selected = row.key;
	const at = state.visible.indexOf(row) * ROW_PX;
	const room = scroll.clientHeight - grid.tHead.offsetHeight - ROW_PX;

	if (at < scroll.scrollTop)
		scroll.scrollTop = at;
	else if (at > scroll.scrollTop + room)
		scroll.scrollTop = at - room;
	render();
}

const selectedIndex = () => state.visible.findIndex((row) =>
	row.key === state.selected);

const gridKeys = {
	ArrowDown: () => select(selectedIndex() + 1),
	ArrowUp: () => select(Math.max(0, selectedIndex() - 1)),
	PageDown: () => select(selectedIndex() + pageRows()),
	PageUp: () => select(Math.max(0, selectedIndex() - pageRows())),
	Home: () => select(0),
	End: () => select(state.visible.length - 1),
	Enter: () => {
		if (selectedIndex() >= 0)
			openExplain(state.visible[selectedIndex()]);
	},
};

function pageRows() {
	return Math.max(1, Math.floor(scroll.clientHeight / ROW_PX) - 2);
}

function show(view) {
	state.view = view;
	state.selected = null;
	makeTable();
	scroll.scrollTop = 0;
	refresh();
}

function toggleProblems() {
	state.problems = !state.problems;
	scroll.scrollTop = 0;
	refresh();
}

function escape() {
	const search = byId("search");

	if (state.explained !== null) {
		closeExplain();
	} else if (search.value) {
		search.value = state.search = "";
		refresh();
	} else {
		grid.focus({ preventScroll: true });
	}
}

document.addEventListener("keydown", (event) => {
	const typing = event.target === byId("search");
	const views = Object.keys(VIEWS);

	if (event.ctrlKey || event.metaKey || event.altKey)
		return;
	if (event.key === "Escape")
		escape();
	else if (typing && event.key !== "ArrowDown" && event.key !== "Enter")
		return;
	else if (event.key === "/")
		byId("search").focus();
	else if (event.key === "p")
		toggleProblems();
	else if (views[event.key - 1])
		show(views[event.key - 1]);
	else if (typing || (event.target === document.body &&
		gridKeys[event.key])) {
		grid.focus({ preventScroll: true });
		select(Math.max(0, selectedIndex()));
	} else
		return;
	event.preventDefault();
});
grid.addEventListener("keydown", (event) => {
	if (event.ctrlKey || event.metaKey || event.altKey ||
		!gridKeys[event.key])
		return;
	gridKeys[event.key]();
	event.preventDefault();
	event.stopPropagation();
});
body.addEventListener("click", (event) => {
	const row = state.visible[event.target.closest("tr")?.dataset.index];

	if (!row || String(getSelection()))
		return;
	state.selected = row.key;
	openExplain(row);
});
byId("tabs").addEventListener("click", (event) => {
	const tab = event.target.closest("button");

	if (tab)
		show(tab.id.slice("tab-".length));
});
byId("tabs").addEventListener("keydown", (event) => {
	const views = Object.keys(VIEWS);
	const by = { ArrowRight: 1, ArrowLeft: views.length - 1 }[event.key];

	if (!by)
		return;
	show(views[(views.indexOf(state.view) + by) % views.length]);
	byId("tab-" + state.view).focus();
});
byId("search").addEventListener("input", (event) => {
	state.search = event.target.value.trim();
	scroll.scrollTop = 0;
	refresh();
});
byId("problems").addEventListener("click", toggleProblems);
byId("close").addEventListener("click", closeExplain);
let framed = false;
scroll.addEventListener("scroll", () => {
	if (framed)
		return;
	framed = true;
	requestAnimationFrame(() => {
		framed = false;
		render();
	});
}, { passive: true });
addEventListener("resize", render);

// berthd

async function load(path) {
	const response = await fetch("/api/v1/" + path, { cache: "no-store",
		signal: AbortSignal.timeout(TIMEOUT_MS) });
	const reply = await response.json();

	if (!response.ok)
		throw new Error(reply.message ?? response.statusText);
	return reply;
}

let polls = 0;

async function poll() {
	try {
		const [status, namespaces, listeners] = await Promise.all(
			["status", "namespaces", "listeners"].map(load));
		const now = performance.now();

		build(namespaces, listeners, state.loadedAt
			? (now - state.loadedAt) / 1000 : 0);
		state.loadedAt = now;
		showTiles(status);
		showNotes(status);
		refresh();
		showLive("ok", `up ${duration(status.uptime_us)}`);
		document.body.dataset.renderMs ??=
			Math.round(performance.now() - now);
		document.body.dataset.readyMs ??= Math.round(performance.now());
	} catch (error) {
		showLive("bad", error instanceof TypeError ||
			error.name === "TimeoutError"
			? "berth-web does not answer" : error.message);
	}
	document.body.dataset.polls = ++polls;
	if (state.explained !== null && polls % EXPLAIN_POLLS === 0)
		loadExplain();
}

// One look after the other, and none while nobody sees the page.
async function run() {
	for (;;) {
		if (document.hidden)
			await new Promise((go) => document.addEventListener(
				"visibilitychange", go, { once: true }));
		else {
			await poll();
			await new Promise((go) => setTimeout(go, POLL_MS));
		}
	}
}

for (const [id, label, withChart] of [["namespaces", "Namespaces"],
	["containers", "Containers"], ["listeners", "Listeners"],
	["clients", "Clients"], ["connections", "New clients", true],
	["received", "Received", true], ["sent", "Sent", true]])
	tile(id, label, withChart);
const wanted = /^#(\w+)(!?)(?:\/(.*))?$/.exec(location.hash);

if (wanted && VIEWS[wanted[1]]) {
	state.view = wanted[1];
	state.problems = wanted[2] === "!";
	try {
		state.search = decodeURIComponent(wanted[3] ?? "");
	} catch {
		state.search = "";
	}
	byId("search").value = state.search;
}
makeTable();
showCounts();
run();
})();
