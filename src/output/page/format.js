'use strict';
// Numbers, times and words as people read them. Decimal units (1 kB is 1000 bytes), one decimal place, exact counts.

/** @param {number|null|undefined} value @returns {string} an exact count in groups of three digits: `1,234,567` */
const count = (value) => value == null ? '–' : String(value).replace(/\B(?=(\d{3})+$)/g, ',');

/** @param {number} value @param {string[]} units each a thousand of the one before @returns {string} */
function scaled(value, units) {
  let at = 0;
  while (value >= 999.95 && at + 1 < units.length) {
    value /= 1000;
    at += 1;
  }
  const number = at === 0 && value >= 10 ? value.toFixed(0) : Number.isInteger(value) && at === 0 ? String(value) : value.toFixed(1);
  return `${number} ${units[at]}`.trim();
}

/** @param {number} value @param {string[]} units @returns {string} a rate, of which slow ones are no less than they are: `0.03 b/s` */
const rateIn = (value, units) => value > 0 && value < 1 ? `${Number(value.toPrecision(2))} ${units[0]}` : scaled(value, units);

/** @param {number} value @param {string} one @param {string} many @returns {string} `1 flow was`, `2 flows were` */
const counted = (value, one, many) => `${count(value)} ${value === 1 ? one : many}`;

/** @param {number|null} value @returns {string} `15.3 MB` */
const bytes = (value) => value == null ? '–' : scaled(value, ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB']);

/** @param {number|null} micros @returns {string} `180 µs`, `1.2 ms`, `2m05s`, `5d04h` */
function duration(micros) {
  if (micros == null) return '–';
  const seconds = Math.round(micros / 1e6);
  const two = (number) => String(Math.floor(number)).padStart(2, '0');
  if (seconds < 60) return scaled(Math.round(micros), ['µs', 'ms', 's']);
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}h${two(seconds / 60 % 60)}m`;
  return `${Math.floor(seconds / 86400)}d${two(seconds / 3600 % 24)}h`;
}

/** @param {number} part @param {number} whole @returns {string} in percent; 0 or 100 only when that is exact */
function share(part, whole) {
  if (!whole) return '–';
  const tenths = Math.round(part * 1000 / whole);
  if (tenths === 0 && part > 0) return '<0.1%';
  if (tenths === 1000 && part < whole) return '>99.9%';
  return `${(tenths / 10).toFixed(1)}%`;
}

/** What throughput is counted in: its name, its rate, and a row's part of it. */
const UNITS = {
  bits: { title: 'Bits/s', of: (traffic) => traffic.wire_bytes * 8, rate: (value) => rateIn(value, ['b/s', 'kb/s', 'Mb/s', 'Gb/s', 'Tb/s', 'Pb/s']) },
  bytes: { title: 'Bytes/s', of: (traffic) => traffic.wire_bytes, rate: (value) => rateIn(value, ['B/s', 'kB/s', 'MB/s', 'GB/s', 'TB/s', 'PB/s']) },
  packets: { title: 'Packets/s', of: (traffic) => traffic.packets, rate: (value) => rateIn(value, ['p/s', 'k p/s', 'M p/s', 'G p/s']) },
};

/** @param {string|null} ts RFC 3339 with nanoseconds @returns {number} milliseconds since the Unix epoch, NaN without one */
function millis(ts) {
  if (!ts) return NaN;
  const [whole, fraction] = ts.replace('Z', '').split('.');
  return Date.parse(`${whole}Z`) + Number(`0.${fraction || 0}`) * 1000;
}

/** @param {number} ms @param {number} digits of the fraction of a second @returns {string} time of day, UTC */
const timeOfDay = (ms, digits = 0) => new Date(ms).toISOString().slice(11, digits ? 20 + digits : 19);

/** @param {string|null} ts @returns {string} date and time to the millisecond */
const dateTime = (ts) => ts ? ts.replace('T', ' ').slice(0, 23) : '–';

/** @param {string} text from outside @returns {string} with what changes direction, is invisible or controls shown as an escape */
const printable = (text) => text.replace(
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g,
  (c) => `\\u{${c.charCodeAt(0).toString(16)}}`,
);

/** The rules that name flows, in the order in which they are tried; a question mark is a guess from port numbers alone. */
const RULES = {
  override: 'a file of yours names one of the two ports',
  handshake: 'the opening of the connection tells the server',
  listener: 'a socket of this host listens there',
  multicast: 'one end is a multicast or broadcast address',
  learned: 'one end was seen to serve before',
  same_port: 'both ports are equal',
  pair: 'client and server have a port each in this protocol',
  strong: 'one port only is in the strong set',
  system: 'a named port below 1024',
  registered: 'a named port from 1024 to 32767',
  ephemeral: 'a named port from 32768 up, the other from 49152 up',
  none: 'no rule knows a name',
};
const GUESSES = new Set(['same_port', 'pair', 'strong', 'system', 'registered', 'ephemeral']);

/** Why packets have no ports. */
const REASONS = {
  arp: 'ARP and RARP',
  not_ip: 'another payload of the link layer: spanning tree, LLDP, LLC, …',
  icmp: 'ICMP and ICMPv6, with the packet that an error quotes',
  igmp: 'IGMP',
  esp: 'encrypted by IPsec: the ports cannot be seen',
  other_protocol: 'IP, but a protocol without ports: OSPF, VRRP, …',
  fragment_orphan: 'a fragment whose first one, with the ports, was not seen before',
  truncated: 'the capture ends before the ports',
  malformed: 'a header contradicts itself before the ports',
  too_deep: 'more headers than any network sends',
  unknown_link: 'a link type that is not known',
  encrypted_wifi: 'a protected frame of 802.11',
};

/** What else needs a word. */
const WORDS = {
  'Dropped': 'Packets that the kernel or the interface lost before they could be read. They are in no other number here. Files do not tell.',
  'Without ports': 'Packets that no service can have: their reasons are listed. Services and these add up to all packets.',
  'Unlabelled': 'Traffic with ports, of which neither has a name.',
  'Flow': 'All packets between two endpoints on one transport, until it is silent or opened anew.',
  'Unanswered': 'A flow that ended without a packet from the server.',
  'Evicted': 'A flow that ended early because the table of flows was full.',
  'RTT': 'Time from a SYN to the client’s first ACK.',
  'p50, p90, p99': 'So many percent of the values are not larger; within 1 %.',
  'Later fragments': 'Fragments after the first, inside the totals of their flow.',
};

/** The rule that named most bytes of a row: `handshake`, `learned 98%`, `strong? 60%`. */
function evidence(row) {
  let main = null;
  for (const [rule, counts] of Object.entries(row.evidence)) {
    if (!main || counts.wire_bytes > main.bytes) main = { rule, bytes: counts.wire_bytes };
  }
  if (!main || main.rule === 'none') return '–';
  const guessed = GUESSES.has(main.rule);
  const alike = Object.entries(row.evidence).filter(([rule]) => GUESSES.has(rule) === guessed);
  const sum = alike.reduce((sum, [, counts]) => sum + counts.wire_bytes, 0);
  const text = main.rule + (guessed ? '?' : '');
  return sum >= row.wire_bytes ? text : `${text} ${Math.floor(sum * 100 / row.wire_bytes)}%`;
}

/** What a row is called in addresses and in reports: the transport, and the name behind it if there is one. */
const keyOf = (row) => row.service === null ? row.transport : `${row.transport}/${row.service}`;
const nameOf = (row) => row.service === null ? 'unlabelled' : printable(row.service);
const addressOf = (row) => row.service === null ? `#/${row.transport}` : `#/${row.transport}/${encodeURIComponent(row.service)}`;

/** Ports of a row in few words: `:443`, `:8080 +2`. */
function portsOf(row) {
  const more = row.ports.length - 1 + row.other_ports.ports;
  return row.ports.length ? `:${row.ports[0].port}${more > 0 ? ` +${more}` : ''}` : '';
}

/** An element with properties, `data` and `aria` attributes, and children; text is only ever set as text. */
function el(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === 'data') Object.assign(element.dataset, value);
    else if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

const $ = (id) => document.getElementById(id);

/** Sets a text where it is another one. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
