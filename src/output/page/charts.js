// Charts: SVG drawn by portlabel, with the values at the pointer, under the keys, and as a table.

const SVG_TYPE = 'image/svg+xml';

/** A chart in a container. It keeps its place, its focus and the value that is read while pictures come and go. */
class Chart {
  /**
   * @param {HTMLElement} container
   * @param {string} label what it shows, for screen readers
   * @param {(data: object, at: number) => {title: string, lines: Array<{color?: string, name: string, value: string}>}} read
   * @param {{count: (data: object) => number, at: (data: object, x: number) => number, x: (data: object, at: number) => [number, number]}} axis
   *   how many values there are, which one is at a pixel of the canvas, and from where to where it goes
   */
  constructor(container, label, read, axis) {
    Object.assign(this, { container, read, axis, data: null, subject: null, selected: null, byKeys: false, onOther: null });
    this.waiting = el('p', { className: 'waiting', textContent: '' });
    this.plot = el('div', { className: 'plot', tabIndex: 0, role: 'application', 'aria-roledescription': 'chart', hidden: true });
    this.plot.setAttribute('aria-label', `${label}. Arrow keys read the values.`);
    this.cross = el('div', { className: 'cross', hidden: true });
    this.tip = el('div', { className: 'tip', hidden: true });
    this.told = el('p', { className: 'told', hidden: true });
    this.spoken = el('p', { className: 'visually-hidden', role: 'status' });
    this.plot.append(this.cross, this.tip);
    container.append(this.waiting, this.plot, this.told, this.spoken);
    this.plot.addEventListener('pointermove', (event) => this.point(event));
    this.plot.addEventListener('pointerdown', (event) => this.point(event));
    this.plot.addEventListener('pointerleave', (event) => { if (event.pointerType === 'mouse') this.select(null); });
    this.plot.addEventListener('keydown', (event) => this.key(event));
    this.plot.addEventListener('blur', () => this.select(null));
  }

  /** Shows a picture of a subject, or a text where there is none. What was read of another subject is read no more. */
  show(subject, svg, otherwise = '') {
    const isOther = subject !== this.subject || !this.data;
    this.subject = subject;
    this.draw(svg, otherwise);
    if (!isOther) return;
    this.select(null);
    this.onOther?.();
  }

  /** Says something of the picture, above it; one that is `stale` is not what was asked for. */
  tell(text, stale = false) {
    this.told.hidden = !text;
    say(this.told, text);
    this.plot.classList.toggle('stale', stale);
  }

  draw(svg, otherwise) {
    const picture = svg && new DOMParser().parseFromString(svg, SVG_TYPE).documentElement;
    const metadata = picture && picture.querySelector('metadata');
    this.waiting.hidden = Boolean(metadata);
    this.plot.hidden = !metadata;
    say(this.waiting, otherwise);
    if (!metadata) {
      this.data = null;
      return;
    }
    this.data = JSON.parse(metadata.textContent);
    metadata.remove();
    picture.querySelector('title')?.remove(); // a browser would show it at the pointer
    picture.setAttribute('aria-hidden', 'true');
    const before = this.plot.querySelector('svg');
    if (before) before.replaceWith(document.importNode(picture, true));
    else this.plot.prepend(document.importNode(picture, true));
    if (this.selected !== null) this.select(Math.min(this.selected, this.axis.count(this.data) - 1), this.byKeys);
  }

  get scale() {
    return this.plot.clientWidth / this.data.plot.width;
  }

  point(event) {
    if (!this.data) return;
    const x = (event.clientX - this.plot.getBoundingClientRect().left) / this.scale;
    const at = this.axis.at(this.data, x);
    this.select(Math.max(0, Math.min(at, this.axis.count(this.data) - 1)));
  }

  key(event) {
    if (!this.data) return;
    const last = this.axis.count(this.data) - 1;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
    if (event.key === 'Escape' && this.selected !== null) {
      event.stopPropagation();
      this.select(null);
    } else if (event.key in steps) {
      event.preventDefault();
      const from = this.selected ?? (steps[event.key] < 0 ? last + 1 : -1);
      this.select(Math.max(0, Math.min(from + steps[event.key], last)), true);
    }
  }

  /** Reads a value; `null` reads none. */
  select(at, byKeys = false) {
    this.byKeys = byKeys;
    this.selected = at;
    this.cross.hidden = this.tip.hidden = at === null || !this.data;
    if (at === null || !this.data) return;
    const { title, lines } = this.read(this.data, at);
    const line = ({ color, name, value }) => {
      const swatch = color === undefined ? [] : [el('i', { className: 'swatch', data: { color } })];
      if (swatch.length) swatch[0].setAttribute('aria-hidden', 'true');
      return el('span', {}, ...swatch, el('u', { textContent: name }), el('i', { textContent: value }));
    };
    this.tip.replaceChildren(el('b', { textContent: title }), ...lines.map(line));
    const { plot } = this.data;
    const [left, right] = this.axis.x(this.data, at).map((x) => x * this.scale);
    const width = Math.max(1, right - left);
    this.cross.classList.toggle('step', width > 3);
    Object.assign(this.cross.style, {
      transform: `translate(${left}px, ${plot.top * this.scale}px)`,
      width: `${width}px`,
      height: `${(plot.bottom - plot.top) * this.scale}px`,
    });
    const room = this.plot.clientWidth - this.tip.offsetWidth;
    const beside = right + 12 <= room ? right + 12 : left - 12 - this.tip.offsetWidth;
    this.tip.style.transform = `translate(${Math.max(0, Math.min(beside, room))}px, ${plot.top * this.scale}px)`;
    if (byKeys) say(this.spoken, [title, ...lines.map(({ name, value }) => `${name} ${value}`)].join(', '));
  }
}

/** A color of the style sheet for each thing that is drawn: its number, or all others as one. */
const colorOf = (series) => String(series.color ?? 'other');
const seriesName = (series) => series.reason ?? (series.transport ? `${series.service === null ? 'unlabelled' : printable(series.service)} ${series.transport}` : 'everything else');

/** Throughput: columns of time. */
const THROUGHPUT_AXIS = {
  count: (data) => data.series[0]?.rates.length ?? 0,
  at: (data, x) => {
    const part = (x - data.plot.left) / (data.plot.right - data.plot.left);
    return Math.floor((data.left_ms + part * (data.right_ms - data.left_ms) - data.start_ms) / data.step_ms);
  },
  x: (data, at) => [at, at + 1].map((at) => {
    const part = (data.start_ms + at * data.step_ms - data.left_ms) / (data.right_ms - data.left_ms);
    return data.plot.left + part * (data.plot.right - data.plot.left);
  }),
};

/** The span of time of a column. */
function columnTime(data, at) {
  const digits = data.step_ms < 1000 ? 3 : 0;
  const start = data.start_ms + at * data.step_ms;
  const day = data.step_ms * data.series[0].rates.length > 86_400_000 ? `${new Date(start).toISOString().slice(0, 10)} ` : '';
  return `${day}${timeOfDay(start, digits)} – ${timeOfDay(start + data.step_ms, digits)}`;
}

function readThroughput(data, at) {
  const { rate } = UNITS[data.unit];
  const lines = data.series.map((series) => ({ color: colorOf(series), name: seriesName(series), number: series.rates[at] }));
  const all = lines.reduce((sum, line) => sum + line.number, 0);
  const shown = lines.filter((line) => line.number > 0).reverse().map((line) => ({ ...line, value: rate(line.number) }));
  const lost = data.dropped[at] ? [{ color: 'lost', name: 'packets dropped', value: count(data.dropped[at]) }] : [];
  return { title: columnTime(data, at), lines: [...lost, { name: 'all', value: rate(all) }, ...shown] };
}

/** Histograms: steps of sizes. */
const HISTOGRAM_AXIS = {
  count: (data) => data.steps.length,
  at: (data, x) => data.steps.findIndex(([, , , , right]) => x < right) >>> 0,
  x: (data, at) => data.steps[at].slice(3),
};

const MEASURES = {
  packet_size_bytes: { what: 'packets', label: 'Histogram of packet sizes', form: (value) => `${count(value)} B` },
  handshake_rtt_us: { what: 'handshakes', label: 'Histogram of round trips', form: duration },
  gap_us: { what: 'gaps', label: 'Histogram of gaps between packets', form: duration },
  flow_duration_us: { what: 'flows', label: 'Histogram of flow durations', form: duration },
};

function readHistogram(data, at) {
  const { what, form } = MEASURES[data.measure];
  const [low, high, number] = data.steps[at];
  const whole = data.steps.reduce((sum, [, , number]) => sum + number, 0);
  const title = low === high ? form(low) : `${form(low)} – ${form(high)}`;
  return { title, lines: [{ name: what, value: count(number) }, { name: 'of all', value: share(number, whole) }] };
}

/**
 * Values of a chart as a table, made when it is opened, and anew when the chart is of something else: with each picture, it
 * would change under whoever reads it.
 */
function valuesTable(details, chart, rows) {
  const place = details.querySelector('.scroll');
  const fill = () => {
    place.replaceChildren();
    if (!details.open || !chart.data) return;
    const [head, ...body] = rows(chart.data);
    const table = el('table', { className: 'plain' });
    const cell = (name, text, at) => el(name, { textContent: text, className: at ? 'num' : '', ...(name === 'th' ? { scope: 'col' } : {}) });
    table.append(el('thead', {}, el('tr', {}, ...head.map((text, at) => cell('th', text, at)))));
    table.append(el('tbody', {}, ...body.map((row) => el('tr', {}, ...row.map((text, at) => cell('td', text, at))))));
    place.append(table);
  };
  details.addEventListener('toggle', fill);
  chart.onOther = fill;
}

/** How long a picture is waited for, and how long a server that has too much to draw is left alone. */
const PICTURE_MS = 15_000;
const BUSY_MS = 1_000;

/**
 * A picture, out of the report or from the server.
 * @returns {Promise<{state: 'drawn'|'none'|'busy'|'away', svg: string|null}>} without one, there are no values (`none`), or
 *   it is to be asked for again: the server has too much to draw, or cannot be reached
 */
async function picture({ key, name, query }, signal) {
  if (REPORT) return Object.hasOwn(REPORT.charts, key) ? { state: 'drawn', svg: REPORT.charts[key] } : { state: 'none', svg: null };
  try {
    const answer = await fetch(`charts/${name}?${new URLSearchParams(query)}`, { cache: 'no-store', signal });
    if (answer.ok) return { state: 'drawn', svg: await answer.text() };
    return { state: { 404: 'none', 503: 'busy' }[answer.status] ?? 'away', svg: null };
  } catch {
    return { state: 'away', svg: null };
  }
}

/** Gets the pictures of one chart, one at a time. The last wish wins, whatever is on its way when it comes. */
class Painter {
  /** @param {(wish: object, answer: {state: string, svg: string|null}) => void} show */
  constructor(show) {
    Object.assign(this, { show, wish: null, settled: null, underway: null, again: 0 });
  }

  /** A wish has a `subject`, what it is a picture of, and a `stamp`, which changes with what the picture would show. */
  want(wish) {
    this.wish = wish;
    if (!this.underway) this.get();
    else if (this.underway.wish.subject !== wish.subject) this.letGo();
  }

  /** Nothing is wished for any more; what was drawn is to be drawn anew when it is. */
  forget() {
    Object.assign(this, { wish: null, settled: null });
    if (this.underway) this.letGo();
  }

  letGo() {
    this.underway.isOld = true;
    this.underway.abort.abort();
  }

  async get() {
    clearTimeout(this.again);
    while (this.wish && this.wish.stamp !== this.settled) {
      const { wish } = this;
      const abort = new AbortController();
      const patience = setTimeout(() => abort.abort(), PICTURE_MS);
      const underway = this.underway = { wish, abort, isOld: false };
      const answer = await picture(wish, abort.signal);
      clearTimeout(patience);
      if (underway.isOld) continue;
      const isSettled = answer.state === 'drawn' || answer.state === 'none';
      this.settled = isSettled ? wish.stamp : null;
      this.show(wish, answer);
      if (isSettled) continue;
      this.again = setTimeout(() => this.underway || this.get(), answer.state === 'busy' ? BUSY_MS : PICTURE_MS);
      break;
    }
    this.underway = null;
  }
}
