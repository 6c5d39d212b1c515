// The page: what was counted, shown and kept up to date.

const SCHEMA = 'portlabel.snapshot/1';
/** Rows of the list, unless all are asked for. */
const FIRST_ROWS = 200;

/** The data of a report; `null` where a server sends them. */
const REPORT = JSON.parse($('report').textContent);

/** What is shown, and how. */
const view = {
  latest: null, // the last snapshot that came
  snapshot: null, // the one that is shown
  previous: null, // the one before it, for rates
  rates: new Map(), // units of each row in its last interval, and how long that was
  paused: false,
  run: 0, // runs that were seen before this one
  state: 'connecting',
  sort: { key: 'bytes', down: true },
  filter: [],
  unit: 'bits',
  span: 'recent',
  all: false,
  colors: new Map(), // of rows in the throughput chart
};

// ---- numbers of a snapshot

const sumOf = (rows, key) => rows.reduce((sum, row) => sum + row[key], 0);
const spanSeconds = (snapshot) => (millis(snapshot.last_ts) - millis(snapshot.first_ts)) / 1000;

/** A run that goes on has rates of its last interval; one that is over has averages. */
const isOver = (snapshot) => snapshot.final || !snapshot.interval;

function rateOf(row, snapshot) {
  if (isOver(snapshot)) {
    const seconds = spanSeconds(snapshot);
    return seconds > 0 ? UNITS[view.unit].of(row) / seconds : null;
  }
  const seconds = (millis(snapshot.interval.end) - millis(snapshot.interval.start)) / 1000;
  return row.interval ? UNITS[view.unit].of(row.interval) / seconds : null;
}

function totalRate(snapshot) {
  const { previous } = view;
  const of = UNITS[view.unit].of;
  if (isOver(snapshot)) {
    const seconds = spanSeconds(snapshot);
    return seconds > 0 ? of(snapshot) / seconds : null;
  }
  if (previous && previous.interval) {
    const seconds = (millis(snapshot.interval.end) - millis(previous.interval.end)) / 1000;
    if (seconds > 0) return (of(snapshot) - of(previous)) / seconds;
  }
  const seconds = (millis(snapshot.interval.end) - millis(snapshot.interval.start)) / 1000;
  return snapshot.services.reduce((sum, row) => sum + (row.interval ? of(row.interval) : 0), 0) / seconds;
}

const lastRate = (row) => rateOf(row, view.snapshot);
const rateText = (rate) => rate === null ? '–' : UNITS[view.unit].rate(rate);

// ---- what is always in view

const STATES = {
  connecting: 'connecting', live: 'live', reading: 'reading', paused: 'paused',
  reconnecting: 'reconnecting', ended: 'ended', report: 'report',
};

function showState() {
  const state = view.paused && view.state !== 'ended' ? 'paused' : view.state;
  const text = state === 'live' && view.snapshot?.source.kind === 'file' ? STATES.reading : STATES[state];
  if ($('state').dataset.state !== state && $('state').dataset.state !== 'connecting') announce(`State: ${text}`);
  $('state').dataset.state = state;
  say($('state-text'), text);
  // there is nothing to pause any more; its place stays
  $('pause').classList.toggle('unseen', view.state === 'ended' && !view.paused);
}

/** Tells screen readers what changed, in few words and seldom. */
function announce(text) {
  say($('status'), text);
}

/** A file without its folders, an interface, or standard input. */
const sourceName = (name) => name === '-' ? 'standard input' : printable(name.split('/').pop() || name);

function showSource(snapshot) {
  const { source } = snapshot;
  const names = source.names.map(sourceName);
  const shown = names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
  const details = [source.host && `on ${printable(source.host)}`, source.filter && `filter: ${printable(source.filter)}`];
  const rest = details.filter(Boolean).map((text) => ` · ${text}`).join('');
  if ($('source').textContent !== shown + rest) {
    $('source').replaceChildren(el('b', { textContent: shown }), rest);
    $('source').title = source.names.map(printable).join('\n');
  }
}

function showVitals(snapshot) {
  const over = isOver(snapshot);
  const rate = totalRate(snapshot);
  say($('v-rate').previousElementSibling, over ? 'Average' : 'Now');
  say($('v-rate'), rateText(rate));
  say($('v-rate-what'), over ? 'over the whole run' : 'in the last interval');

  const { kernel, interface: device } = snapshot.drops;
  const counted = kernel !== null || device !== null;
  const lost = (kernel ?? 0) + (device ?? 0);
  say($('v-drops'), counted ? (lost ? `${count(lost)} lost` : 'none') : 'unknown');
  say($('v-drops-what'), lost ? `kernel ${count(kernel ?? 0)} · interface ${count(device ?? 0)}`
    : counted ? 'every packet was counted' : 'files do not tell');
  if (lost && !$('vital-drops').classList.contains('lossy')) announce('Packets were dropped');
  $('vital-drops').classList.toggle('lossy', lost > 0);

  const portless = { packets: sumOf(snapshot.portless, 'packets'), wire_bytes: sumOf(snapshot.portless, 'wire_bytes') };
  say($('v-portless'), share(portless.wire_bytes, snapshot.wire_bytes));
  say($('v-portless-what'), `of bytes · ${count(portless.packets)} packets`);
  const unlabelled = snapshot.services.filter((row) => row.service === null);
  say($('v-unlabelled'), share(sumOf(unlabelled, 'wire_bytes'), snapshot.wire_bytes));
  say($('v-unlabelled-what'), `of bytes · ${count(sumOf(unlabelled, 'packets'))} packets`);
  const where = snapshot.source.names.map(sourceName).join(', ');
  document.title = `${rateText(rate)} · ${where} · portlabel`;
}

/** Lines that are read at once; the others are one click away. */
const FIRST_TOLD = 5;

/** What was said of the inputs while they were read: whoever sees the numbers is to know what is missing in them. */
function showTold({ told, more_told: more }) {
  const items = (texts) => texts.map((text) => el('li', { textContent: printable(text) }));
  const rest = told.slice(FIRST_TOLD);
  const left = more ? [el('li', { textContent: `and ${count(more)} more, which are not kept` })] : [];
  $('told').hidden = told.length === 0;
  $('told-first').replaceChildren(...items(told.slice(0, FIRST_TOLD)));
  $('told-more').hidden = rest.length === 0;
  say($('told-more').firstElementChild, `${count(rest.length + more)} more`);
  $('told-rest').replaceChildren(...items(rest), ...left);
}

// ---- the list

function showTotals(snapshot) {
  say($('t-packets'), count(snapshot.packets));
  say($('t-bytes'), bytes(snapshot.wire_bytes));
  say($('t-flows'), count(snapshot.flows.started));
  say($('t-active'), count(snapshot.flows.active));
  say($('t-services'), count(snapshot.services.filter((row) => row.service !== null).length));
  const { first_ts: first, last_ts: last } = snapshot;
  const sameDay = first && last && first.slice(0, 10) === last.slice(0, 10);
  const seconds = spanSeconds(snapshot);
  say($('t-time'), first ? `${dateTime(first)} – ${sameDay ? dateTime(last).slice(11) : dateTime(last)} UTC · ${duration(seconds * 1e6)}` : snapshot.final ? 'no packets' : 'no packet yet');
  $('t-time').title = $('t-time').textContent;
  const remarks = [
    snapshot.time_jumps && `packet time jumped ${counted(snapshot.time_jumps, 'time', 'times')} by more than an hour`,
    snapshot.flows.evicted && `${counted(snapshot.flows.evicted, 'flow', 'flows')} ended early because the table of flows was full`,
    snapshot.learned_forgotten && `${counted(snapshot.learned_forgotten, 'server was', 'servers were')} forgotten to make room`,
    snapshot.histograms_refused && `${counted(snapshot.histograms_refused, 'distribution is', 'distributions are')} without percentiles: memory for histograms was used up`,
  ].filter(Boolean);
  $('remarks').hidden = remarks.length === 0;
  say($('remarks'), remarks.join(' · '));
}

const COLUMNS = {
  name: (row) => row.service === null ? '\uffff' : row.service.toLowerCase(),
  transport: (row) => row.transport,
  rate: (row) => lastRate(row) ?? -1,
  packets: (row) => row.packets,
  bytes: (row) => row.wire_bytes,
  share: (row) => row.wire_bytes,
  flows: (row) => row.flows.started,
  rtt: (row) => row.handshake_rtt_us?.p50 ?? -1,
  p99: (row) => row.handshake_rtt_us?.p99 ?? -1,
  evidence: (row) => evidence(row),
};

/** Each word is a part of the name, the transport, or a port. */
function passes(row) {
  return view.filter.every((word) => (row.service ?? 'unlabelled').toLowerCase().includes(word)
    || row.transport === word || row.ports.some(({ port }) => String(port) === word.replace(/^:/, '')));
}

/** A row of the list: its cells are made once, and their texts changed. */
class Row {
  constructor(row) {
    const cell = (name, ...children) => el('td', { className: name }, ...children);
    this.swatch = el('i', { className: 'swatch' });
    this.swatch.setAttribute('aria-hidden', 'true');
    this.link = el('a', { href: addressOf(row), textContent: nameOf(row) });
    this.ports = el('small');
    this.cells = { proto: cell('c-proto soft'), rate: cell('c-rate num'), packets: cell('c-packets num'), bytes: cell('c-bytes num'), flows: cell('c-flows num'), rtt: cell('c-rtt num'), p99: cell('c-p99 num'), evidence: cell('c-evidence') };
    this.share = el('span');
    this.bar = el('b');
    const { proto, rate, packets, bytes: size, flows, rtt, p99, evidence: rule } = this.cells;
    const name = cell('c-name', el('div', { className: row.service === null ? 'name unlabelled' : 'name' }, this.swatch, this.link, this.ports));
    const part = cell('c-share', el('div', { className: 'share' }, this.share, el('i', { 'aria-hidden': 'true' }, this.bar)));
    this.element = el('tr', {}, name, proto, rate, packets, size, part, flows, rtt, p99, rule);
    this.element.addEventListener('click', (event) => { if (!event.target.closest('a') && !getSelection().toString()) location.hash = addressOf(row); });
  }

  show(row, snapshot) {
    say(this.ports, portsOf(row));
    say(this.cells.proto, row.transport);
    say(this.cells.rate, rateText(rateOf(row, snapshot)));
    say(this.cells.packets, count(row.packets));
    say(this.cells.bytes, bytes(row.wire_bytes));
    say(this.share, share(row.wire_bytes, snapshot.wire_bytes));
    this.bar.style.transform = `scaleX(${snapshot.wire_bytes ? (row.wire_bytes / snapshot.wire_bytes).toFixed(4) : 0})`;
    say(this.cells.flows, count(row.flows.started));
    say(this.cells.rtt, duration(row.handshake_rtt_us?.p50 ?? null));
    say(this.cells.p99, duration(row.handshake_rtt_us?.p99 ?? null));
    say(this.cells.evidence, evidence(row));
    this.color(row);
  }

  color(row) {
    const color = view.colors.get(keyOf(row));
    if (color === undefined) delete this.swatch.dataset.color;
    else if (this.swatch.dataset.color !== color) this.swatch.dataset.color = color;
  }
}

/** Elements of rows by key, for as long as they are shown. */
const rows = new Map();

function sorted(snapshot) {
  const { key, down } = view.sort;
  const of = COLUMNS[key];
  const keyed = snapshot.services.filter(passes).map((row, at) => [of(row), at, row]);
  keyed.sort(([a, aAt], [b, bAt]) => (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1) || aAt - bAt);
  return keyed.map(([, , row]) => row);
}

function showServices(snapshot) {
  say($('rate-head'), (isOver(snapshot) ? 'Ø ' : '') + UNITS[view.unit].title);
  const matching = sorted(snapshot);
  const shown = view.all ? matching : matching.slice(0, FIRST_ROWS);
  const body = $('services').tBodies[0];
  showRows(body, shown, snapshot);

  const { length } = snapshot.services;
  say($('count'), matching.length === length ? `${count(length)}` : `${count(matching.length)} of ${count(length)}`);
  $('empty').hidden = matching.length > 0;
  say($('empty'), length ? 'No service matches the filter.' : snapshot.final ? 'No packets with ports.' : 'No packets with ports yet.');
  $('more').hidden = shown.length === matching.length;
  say($('more').firstElementChild, `Show all ${count(matching.length)}`);
}

/** Rows that are still to be shown: the first ones are there at once, and the others follow in pieces. */
const pieces = { order: '', timer: 0, rest: null, isOld: false };

function showRows(body, shown, snapshot) {
  const order = JSON.stringify([view.sort, view.filter, view.unit, view.run]);
  if (pieces.rest && pieces.order === order) {
    // newer numbers do not keep the last rows from ever being reached
    pieces.isOld = true;
    return;
  }
  clearTimeout(pieces.timer);
  // in another order, thousands of rows would be laid out before the first are seen
  if (pieces.order !== order && body.rows.length > 2 * FIRST_ROWS) body.replaceChildren();
  Object.assign(pieces, { order, isOld: false, rest: inPieces(body, shown, snapshot) });
  showPiece(body);
}

function showPiece(body) {
  const focused = body.contains(document.activeElement) ? document.activeElement : null;
  const { done } = pieces.rest.next();
  if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
  if (!done) {
    pieces.timer = setTimeout(() => showPiece(body));
    return;
  }
  pieces.rest = null;
  if (pieces.isOld && opened() === null) showServices(view.snapshot);
}

function* inPieces(body, shown, snapshot) {
  const keys = new Set(shown.map(keyOf));
  for (const [key, row] of rows) {
    if (!keys.has(key)) {
      row.element.remove();
      rows.delete(key);
    }
  }
  let place = body.firstElementChild;
  for (const [at, row] of shown.entries()) {
    if (at > 0 && at % FIRST_ROWS === 0) yield;
    const key = keyOf(row);
    let known = rows.get(key);
    if (!known) rows.set(key, known = new Row(row));
    known.show(row, snapshot);
    if (known.element === place) place = place.nextElementSibling;
    else if (known.element.isConnected && body.moveBefore) body.moveBefore(known.element, place);
    else body.insertBefore(known.element, place);
  }
}

function showSort() {
  for (const head of $('services').tHead.rows[0].cells) {
    const { sort } = head.firstElementChild.dataset;
    if (sort === view.sort.key) head.setAttribute('aria-sort', view.sort.down ? 'descending' : 'ascending');
    else head.removeAttribute('aria-sort');
  }
}

/** Rows of a plain table: a cell is a text, or `{ part, whole }` for a share with its bar. */
function fillTable(table, heads, lines) {
  if (!table.tHead) {
    const cells = heads.map(([text, name = '']) => el('th', { scope: 'col', textContent: text, className: name }));
    table.append(el('thead', {}, el('tr', {}, ...cells)), el('tbody'));
  }
  const body = table.tBodies[0];
  while (body.rows.length > lines.length) body.lastElementChild.remove();
  lines.forEach((line, at) => {
    const row = body.rows[at] ?? body.appendChild(el('tr', {}, ...heads.map(([, name = '']) => el('td', { className: name }))));
    line.forEach((content, column) => {
      const cell = row.cells[column];
      if (typeof content === 'string') say(cell, content);
      else {
        if (!cell.firstElementChild) cell.append(el('div', { className: 'share' }, el('span'), el('i', { 'aria-hidden': 'true' }, el('b'))));
        say(cell.querySelector('span'), share(content.part, content.whole));
        cell.querySelector('b').style.transform = `scaleX(${content.whole ? (content.part / content.whole).toFixed(4) : 0})`;
      }
    });
  });
}

const REASON_HEADS = [['Reason'], ['Packets', 'num'], ['Bytes', 'num'], ['Share'], ['What it means', 'wide-only meaning']];

function showPortless(snapshot) {
  const lines = snapshot.portless.map((row) => [row.reason, count(row.packets), bytes(row.wire_bytes), { part: row.wire_bytes, whole: snapshot.wire_bytes }, REASONS[row.reason] ?? '']);
  fillTable($('portless'), REASON_HEADS, lines);
  $('portless').hidden = lines.length === 0;
  $('portless-empty').hidden = lines.length > 0;
  const [services, portless] = [sumOf(snapshot.services, 'packets'), sumOf(snapshot.portless, 'packets')];
  say($('sum'), `${count(services)} of services + ${count(portless)} without ports = ${count(snapshot.packets)} packets`);
}

// ---- one service

/** The key that the address names; `null` is the list. */
function opened() {
  const [, transport, name] = location.hash.match(/^#\/([a-z]+)(?:\/(.+))?$/) ?? [];
  if (!transport) return null;
  try {
    return name === undefined ? transport : `${transport}/${decodeURIComponent(name)}`;
  } catch {
    return `${transport}/${name}`; // no address of ours
  }
}

const PORT_HEADS = [['Port'], ['Packets', 'num'], ['Bytes', 'num'], ['Share']];
const DIRECTION_HEADS = [['Direction'], ['Packets', 'num'], ['Bytes', 'num'], ['Share']];
const FLOW_HEADS = [['Flows'], ['Number', 'num'], ['What it means', 'meaning']];
const EVIDENCE_HEADS = [['Rule'], ['Flows', 'num'], ['Packets', 'num'], ['Bytes', 'num'], ['Share'], ['Why', 'wide-only meaning']];

function showOne(snapshot, key) {
  const row = snapshot.services.find((row) => keyOf(row) === key);
  const [transport, ...name] = key.split('/');
  say($('one-title'), row ? nameOf(row) : printable(name.join('/')) || 'unlabelled');
  say($('one-transport'), transport);
  $('one-missing').hidden = Boolean(row);
  $('one-body').hidden = $('one-totals').hidden = !row;
  if (!row) {
    say($('one-missing'), snapshot.final ? 'Nothing of this service was seen.' : 'Nothing of this service was seen so far.');
    return;
  }
  const whole = row.wire_bytes;
  const over = isOver(snapshot);
  fillNumbers($('one-totals'), [
    [over ? 'Average' : 'Now', rateText(rateOf(row, snapshot))], ['Packets', count(row.packets)], ['Bytes on the wire', bytes(whole)],
    ['Share of all bytes', share(whole, snapshot.wire_bytes)], ['Evidence', evidence(row)],
  ]);
  const part = (traffic) => [count(traffic.packets), bytes(traffic.wire_bytes), { part: traffic.wire_bytes, whole }];
  const others = row.other_ports.ports ? [[`${count(row.other_ports.ports)} others`, ...part(row.other_ports)]] : [];
  fillTable($('one-ports'), PORT_HEADS, [...row.ports.map((port) => [String(port.port), ...part(port)]), ...others]);
  const fragments = row.later_fragments.packets ? [['later fragments of these', ...part(row.later_fragments)]] : [];
  fillTable($('one-directions'), DIRECTION_HEADS, [['to the server', ...part(row.to_server)], ['from the server', ...part(row.from_server)], ...fragments]);
  const { flows } = row;
  fillTable($('one-flows'), FLOW_HEADS, [
    ['started', count(flows.started), 'seen so far'], ['active', count(flows.active), 'open at this time'],
    ['ended', count(flows.ended), 'closed, reset, idle, or at the end of the run'],
    ['unanswered', count(flows.unanswered), 'ended without a packet from the server'],
    ['evicted', count(flows.evicted), 'ended early because the table of flows was full'],
  ]);
  fillTable($('one-evidence'), EVIDENCE_HEADS, Object.entries(row.evidence).map(([rule, counts]) => [
    rule + (GUESSES.has(rule) ? '?' : ''), count(counts.flows), ...part(counts), RULES[rule] ?? '',
  ]));
  for (const measure of measures) measure.show(row);
}

function fillNumbers(list, pairs) {
  while (list.children.length < pairs.length) list.append(el('div', {}, el('dt'), el('dd')));
  pairs.forEach(([name, text], at) => {
    say(list.children[at].firstElementChild, name);
    say(list.children[at].lastElementChild, text);
  });
}

/** The histogram of a distribution, and its numbers. */
class Measure {
  constructor(section) {
    this.name = section.dataset.measure;
    const { label, form } = MEASURES[this.name];
    this.form = form;
    this.frame = el('div', { className: 'chart' });
    this.none = el('p', { className: 'none', hidden: true });
    this.numbers = el('dl', { className: 'numbers' });
    this.details = el('details', { className: 'values' }, el('summary', { textContent: 'Values as a table' }),
      el('div', { className: 'scroll', tabIndex: 0, role: 'region', 'aria-label': `${label}, values` }));
    section.append(this.frame, this.none, this.numbers, this.details);
    this.chart = new Chart(this.frame, label, readHistogram, HISTOGRAM_AXIS);
    this.painter = new Painter((wish, answer) => this.drawn(wish, answer));
    valuesTable(this.details, this.chart, (data) => [['From', 'To', MEASURES[data.measure].what], ...data.steps.map(([low, high, number]) => [form(low), form(high), count(number)])]);
  }

  show(row) {
    const summary = row[this.name];
    this.frame.hidden = this.numbers.hidden = !summary;
    this.none.hidden = Boolean(summary);
    say(this.none, 'No values.');
    if (!summary) {
      this.painter.forget();
      this.chart.show(null, null);
      this.details.hidden = true;
      return;
    }
    const { form } = this;
    fillNumbers(this.numbers, [
      ['p50', form(summary.p50)], ['p90', form(summary.p90)], ['p99', form(summary.p99)], ['min', form(summary.min)],
      ['mean', form(Math.round(summary.mean))], ['max', form(summary.max)], ['values', count(summary.count)],
    ].map(([name, text]) => [name, text.startsWith('–') ? '–' : text]));
    const key = keyOf(row);
    const subject = `${view.run} ${key}`;
    if (this.chart.subject !== subject) {
      this.chart.show(subject, null, 'Drawing …');
      this.details.hidden = true;
    }
    if (!view.paused) this.chart.tell('');
    const width = widthOf(this.frame, MOST_HISTOGRAM_PX);
    this.painter.want({
      subject, stamp: `${subject} ${width} ${summary.count}`, isLate: isLate(),
      key: `${this.name}:${key.replace('/', ':')}`, name: `${this.name}.svg`,
      query: { transport: row.transport, ...(row.service === null ? {} : { service: row.service }), width },
    });
  }

  drawn({ subject, isLate }, { state, svg }) {
    if (svg || !this.chart.data || state === 'none') this.chart.show(subject, svg, NO_HISTOGRAM[state] ?? '');
    this.chart.tell(svg && isLate ? LATE : '');
    this.details.hidden = !this.chart.data;
  }
}

/** Why there is no histogram. */
const NO_HISTOGRAM = {
  none: REPORT ? 'Histograms are drawn for the services with most bytes.' : 'No histogram of it is kept.',
  busy: 'The server has too much to draw; it is asked again.',
  away: 'The server cannot be reached; the histogram comes when it is back.',
};

/** What is drawn while the page is paused is newer than the rest of it. */
const LATE = 'Drawn after the pause, and newer than the numbers here';
const isLate = () => view.paused && view.latest !== view.snapshot;

// ---- charts

const widthOf = (frame, most = 2400) => Math.max(240, Math.min(most, Math.round(frame.clientWidth)));
/** The widest histogram, in pixels; the style sheet knows it too. */
const MOST_HISTOGRAM_PX = 576;

const throughput = new Chart($('throughput'), 'Throughput over time, stacked by service', readThroughput, THROUGHPUT_AXIS);
valuesTable($('throughput-values'), throughput, (data) => {
  const { rate } = UNITS[data.unit];
  const names = data.series.map(seriesName);
  const columns = data.series[0].rates.map((_, at) => [columnTime(data, at), ...data.series.map((series) => rate(series.rates[at])), ...(data.dropped.length ? [count(data.dropped[at])] : [])]);
  return [['Time, UTC', ...names, ...(data.dropped.length ? ['dropped'] : [])], ...columns.reverse()];
});
const measures = [...document.querySelectorAll('[data-measure]')].map((section) => new Measure(section));

const SPANS = { recent: '10 minutes', whole: 'all' };

/** Why there is no throughput chart, or not the one that was asked for. */
const NO_THROUGHPUT = {
  none: REPORT ? 'There were no packets to draw.' : 'Nothing to draw yet.',
  busy: 'The server has too much to draw; it is asked again.',
  away: 'The server cannot be reached; the chart comes when it is back.',
};

const painter = new Painter(showThroughput);

/** The unit and the span of the chart that is there, and what became of the last wish. */
const drawn = { unit: null, span: null, isLate: false, state: 'none' };

function loadThroughput() {
  if ($('overview').hidden || !view.snapshot) return;
  const { unit, span, run } = view;
  // a picture that stands still is stretched
  const width = view.paused && painter.wish ? painter.wish.query.width : widthOf($('throughput'));
  const form = width < 560 ? 'narrow' : 'wide';
  const subject = `${run} ${unit} ${span} ${REPORT ? form : width}`;
  painter.want({
    subject, stamp: `${subject} ${view.snapshot.sequence}`, isLate: isLate(), unit, span,
    key: `throughput:${unit}:${form}`, name: 'throughput.svg', query: { span, unit, width },
  });
  tellThroughput();
}

function showThroughput({ unit, span, isLate }, { state, svg }) {
  drawn.state = state;
  if (svg || state === 'none') {
    Object.assign(drawn, { unit, span, isLate });
    throughput.show(`${view.run} ${unit} ${span}`, svg, NO_THROUGHPUT[state]);
  } else if (!throughput.data) {
    throughput.show(null, null, NO_THROUGHPUT[state]);
  }
  tellThroughput();
  $('throughput-values').hidden = !throughput.data;
  const series = throughput.data?.series ?? [];
  view.colors = new Map(series.filter(({ transport }) => transport).map((series) => [keyOf(series), colorOf(series)]));
  showKeys(series);
  for (const row of view.snapshot?.services ?? []) rows.get(keyOf(row))?.color(row);
}

/** Says what the chart is where that is not what the buttons say: nobody takes bits for bytes. */
function tellThroughput() {
  if (!throughput.data) return throughput.tell('');
  const isStale = drawn.unit !== view.unit || drawn.span !== view.span;
  if (!isStale) return throughput.tell(drawn.isLate && view.paused ? LATE : '');
  const why = NO_THROUGHPUT[drawn.state === 'none' ? '' : drawn.state];
  throughput.tell([`Still ${UNITS[drawn.unit].title}, ${SPANS[drawn.span]}`, why].filter(Boolean).join('. '), true);
}

/** The names of what is drawn, the highest first. */
function showKeys(series) {
  const stamp = series.map((one) => `${colorOf(one)} ${seriesName(one)}`).join('\n');
  if (showKeys.stamp === stamp) return;
  showKeys.stamp = stamp;
  $('throughput-keys').replaceChildren(...series.map((one) => {
    const swatch = el('i', { className: 'swatch', data: { color: colorOf(one) } });
    const name = one.transport ? el('a', { href: addressOf(one), textContent: seriesName(one) }) : seriesName(one);
    return el('li', {}, swatch, name);
  }));
}

// ---- everything

function show() {
  const { snapshot } = view;
  showState();
  if (!snapshot) return;
  document.body.dataset.filled = '';
  showSource(snapshot);
  showVitals(snapshot);
  const key = opened();
  if (key === null) {
    showTotals(snapshot);
    showServices(snapshot);
    showPortless(snapshot);
    loadThroughput();
  } else {
    showOne(snapshot, key);
  }
  say($('about'), `portlabel ${snapshot.version} · snapshot ${count(snapshot.sequence)} · ${snapshot.ts ? `${dateTime(snapshot.ts)} UTC` : 'no packets'}`);
}

/** Whether the page can read a snapshot. Keys that it does not know do not matter; another schema does, and is told. */
function isKnown(snapshot) {
  const known = snapshot.schema === SCHEMA;
  if (!known) notify(`This page reads ${SCHEMA}, and this is ${printable(String(snapshot.schema))}.`);
  return known;
}

/** Takes a snapshot that came. One of another run begins everything anew. */
function take(snapshot) {
  if (!isKnown(snapshot)) return;
  const before = view.latest;
  const isOther = before && (snapshot.sequence < before.sequence || before.first_ts !== null && (snapshot.first_ts === null || millis(snapshot.first_ts) > millis(before.first_ts)));
  if (isOther) {
    Object.assign(view, { previous: null, snapshot: null, paused: false, run: view.run + 1 });
    throughput.show(null, null, NO_THROUGHPUT.none);
    showTold({ told: [], more_told: 0 });
    showPause();
    announce('A new run has begun');
  }
  view.latest = snapshot;
  view.state = snapshot.final ? 'ended' : 'live';
  if (view.paused) return showState();
  if (view.snapshot?.sequence !== snapshot.sequence) view.previous = view.snapshot;
  view.snapshot = snapshot;
  show();
}

/** Tells what is in the way, and what helps: a page of the program that runs now. */
function notify(text) {
  const reload = el('button', { type: 'button', textContent: 'Load the page anew' });
  reload.addEventListener('click', () => location.reload());
  $('notice').replaceChildren(text, ...(REPORT ? [] : [reload]));
  $('notice').hidden = false;
}

// ---- what users do

/** Shows the list or a service, whichever the address names. */
let scrolled = 0;
function route(event) {
  const key = opened();
  const wasList = $('one').hidden;
  if (key !== null && wasList) scrolled = scrollY;
  $('overview').hidden = key !== null;
  $('one').hidden = key === null;
  show();
  if (!event) return;
  if (key !== null) {
    scrollTo(0, 0);
    $('one-title').focus({ preventScroll: true });
  } else if (!wasList) {
    scrollTo(0, scrolled);
    rows.get(route.last)?.link.focus({ preventScroll: true });
  }
  route.last = key;
}

function showPause() {
  $('pause').setAttribute('aria-pressed', String(view.paused));
  say($('pause'), view.paused ? 'Resume' : 'Pause');
}

function pause() {
  view.paused = !view.paused;
  showPause();
  if (!view.paused && view.latest !== view.snapshot) {
    view.previous = null;
    view.snapshot = view.latest;
  }
  show();
}

const THEMES = { auto: 'Auto', light: 'Light', dark: 'Dark' };
const prefersDark = matchMedia('(prefers-color-scheme: dark)');
const prints = matchMedia('print');

/** What is kept between visits, where the browser allows it. */
function kept(name, value) {
  try {
    if (value !== undefined) localStorage.setItem(`portlabel.${name}`, value);
    return localStorage.getItem(`portlabel.${name}`);
  } catch {
    return null;
  }
}

let theme = kept('theme') in THEMES ? kept('theme') : 'auto';
function showTheme() {
  const dark = !prints.matches && (theme === 'dark' || theme === 'auto' && prefersDark.matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  say($('theme-name'), THEMES[theme]);
}

function press(group, attribute, value) {
  for (const button of group.children) button.setAttribute('aria-pressed', String(button.dataset[attribute] === value));
}

function listen() {
  $('theme').addEventListener('click', () => {
    const names = Object.keys(THEMES);
    theme = names[(names.indexOf(theme) + 1) % names.length];
    kept('theme', theme);
    showTheme();
  });
  for (const media of [prefersDark, prints]) media.addEventListener('change', showTheme);
  $('pause').addEventListener('click', pause);
  $('units').addEventListener('click', ({ target }) => {
    if (!target.dataset.unit) return;
    view.unit = target.dataset.unit;
    press($('units'), 'unit', view.unit);
    show();
  });
  $('spans').addEventListener('click', ({ target }) => {
    if (!target.dataset.span) return;
    view.span = target.dataset.span;
    press($('spans'), 'span', view.span);
    loadThroughput();
  });
  $('services').tHead.addEventListener('click', ({ target }) => {
    const { sort } = target.dataset;
    if (!sort) return;
    const down = view.sort.key === sort ? !view.sort.down : !['name', 'transport', 'evidence'].includes(sort);
    view.sort = { key: sort, down };
    showSort();
    show();
  });
  let told;
  $('filter').addEventListener('input', () => {
    view.filter = $('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
    show();
    clearTimeout(told);
    told = setTimeout(() => announce(`${$('count').textContent} services`), 700);
  });
  $('more').firstElementChild.addEventListener('click', () => {
    view.all = true;
    show();
  });
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Escape' && event.target === $('filter')) {
      $('filter').value = '';
      $('filter').dispatchEvent(new Event('input'));
    } else if (event.key === 'Escape' && opened() !== null) {
      location.hash = '#/';
    } else if (event.key === '/' && !event.target.closest('input')) {
      event.preventDefault();
      location.hash = '#/';
      $('filter').focus();
    }
  });
  addEventListener('hashchange', route);
  let width = innerWidth;
  addEventListener('resize', () => {
    if (width === innerWidth) return;
    width = innerWidth;
    show();
  });
}

function showLegend() {
  const entry = ([word, meaning]) => [el('dt', { textContent: word }), el('dd', { textContent: meaning })];
  const mark = (rule) => rule + (GUESSES.has(rule) ? '?' : '');
  $('rules').append(...Object.entries(RULES).flatMap(([rule, meaning]) => entry([mark(rule), meaning])));
  $('words').append(...Object.entries({ ...WORDS, '?': 'Guessed from the port numbers alone.' }).flatMap(entry));
}

// ---- the stream

/** The longest time between two tries to reach a server that is away, and how long silence is taken for its absence. */
const LONGEST_WAIT_MS = 15_000;
const SILENCE_MS = 10_000;
/** A run that is over is looked after as seldom as a server that was away for so many tries. */
const TRIES_AT_END = 3;

let source = null;
let tries = 0;
let silence;

function connect() {
  source?.close();
  source = new EventSource('api/v1/stream');
  source.addEventListener('snapshot', ({ data }) => {
    const snapshot = JSON.parse(data);
    if (!snapshot.final) tries = 0;
    take(snapshot);
    const { interval } = snapshot;
    const length = interval ? millis(interval.end) - millis(interval.start) : 0;
    // reading a file may take its time, and a run that is over says no more
    clearTimeout(silence);
    if (!snapshot.final && snapshot.source.kind === 'live') silence = setTimeout(lose, SILENCE_MS + 3 * length);
  });
  source.addEventListener('told', ({ data }) => showTold(JSON.parse(data)));
  source.addEventListener('end', () => {
    view.state = 'ended';
    tries = Math.max(tries, TRIES_AT_END);
    show();
    lose();
  });
  source.addEventListener('error', lose);
}

/** The server is away: it is tried again, after longer and longer times. A run that has ended stays so until another begins. */
function lose() {
  clearTimeout(silence);
  source.close();
  if (view.state !== 'ended') view.state = 'reconnecting';
  showState();
  const wait = Math.min(LONGEST_WAIT_MS, 500 * 2 ** tries);
  tries += 1;
  setTimeout(connect, wait);
}

showTheme();
showSort();
showLegend();
listen();
if (REPORT) {
  view.state = 'report';
  view.span = 'whole';
  if (isKnown(REPORT.snapshot)) view.snapshot = view.latest = REPORT.snapshot;
  showTold(REPORT);
} else {
  $('pause').hidden = false;
  $('spans').hidden = false;
  connect();
}
route();
