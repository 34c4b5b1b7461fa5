// The page of a chat. The server has rendered it up to a position; from there on the official client keeps it up to date.
'use strict';

const { open, room, epoch, offset } = document.body.dataset;
let oldest = Number(document.body.dataset.oldest); // up to where the history is shown
const isOpen = open === 'true';
const $ = (id) => document.getElementById(id);
const lines = $('lines');
const form = $('say');
const box = form && form.elements.text;
const button = form && form.querySelector('button');
const waiting = new Map(); // what was said and is not acknowledged, by its id
const here = new Map(); // who is in the room, by client
const typists = new Map(); // who is typing, and until when

const element = (name, text, className = '') => Object.assign(document.createElement(name), { textContent: text, className });
const at = (n) => lines.querySelector(`li[data-offset="${n}"]`);

// Who the reader is stays in this browser; a token stays in this tab.
const me = $('me').elements[isOpen ? 'user' : 'token'];
const kept = isOpen ? localStorage : sessionStorage;
const random = (n) => Array.from(crypto.getRandomValues(new Uint8Array(n)), (b) => b.toString(36).padStart(2, '0')).join('');
me.value = kept.getItem(me.name) || (isOpen ? `guest-${random(3)}` : '');
let mine = isOpen ? me.value : ''; // the reader's name, as the chat knows it

const client = new Centrifuge(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/connection/websocket`, { maxReconnectDelay: 5000 });

// The client passes over when a message was said.
const timeless = client._getPublicationContext;
client._getPublicationContext = (channel, p) => ({ ...timeless.call(client, channel, p), time: p.time });

function signIn() {
  me.value = me.value.trim();
  kept.setItem(me.name, me.value);
  if (isOpen) client.setData({ user: me.value });
  else client.setToken(me.value);
  comeIn();
}

// comeIn connects and enters the room, if either is over.
function comeIn() {
  client.connect();
  if (sub) sub.subscribe();
}

function tell(text, className = '') {
  $('state').className = className;
  if ($('state').textContent !== text) $('state').textContent = text;
}

// note says by the field what became of what the reader has sent. Why nothing can be sent matters more.
function note(text) {
  if (!form || !button.disabled) $('note').textContent = text;
}

// bar says why nothing can be sent until something is done, and offers what can be. What is being typed stays.
function bar(state, why, ...ways) {
  tell(state, 'bad');
  $('note').replaceChildren(why, ...ways.flatMap((way) => [' ', way]));
  if (!form) return;
  button.disabled = true;
  here.clear();
  $('here').replaceChildren();
}

function unbar() {
  tell('connected', 'good');
  if (form) button.disabled = false;
  $('note').textContent = '';
}

const link = (text, href) => Object.assign(element('a', text), { href });

// again is the way back to where the reader was.
function again(text) {
  const way = element('button', text);
  way.onclick = () => { if (box) box.focus(); comeIn(); };
  return way;
}

client.on('connecting', () => tell('connecting'));
client.on('connected', ({ data }) => {
  mine = data.user;
  if (!isOpen) $('who').textContent = `you are ${mine}`;
  if (!room) unbar();
  else if (sub.state === 'unsubscribed') tell('not in the room', 'bad');
  seeRooms();
});
// A token that is over ends with 1: the client would ask for another one, and only the reader has that.
const tokenEnds = { 1: 'That token has expired: sign in again.', 3500: 'That token is not good: sign in again.' };
client.on('disconnected', ({ code, reason }) => {
  if (!isOpen) $('who').textContent = '';
  if (!code) return; // the reader signs in
  if (code === 3500 && isOpen) bar('not connected', 'The chat asks for a token now.', link('Sign in', ''));
  else if (!isOpen && tokenEnds[code]) bar('not connected', tokenEnds[code]);
  else bar('not connected', `The connection is closed: ${reason}.`, again('Connect again'));
});

// Why the reader is not in the room, by what the chat says: for good, or until they come in again.
const gone = { 'the room was removed': 'This room was removed.', 'unknown channel': 'There is no room of that name.' };
const outs = { kicked: 'You were kicked.', banned: 'You are banned here.' };

function out({ code, reason }) {
  const state = code === 108 ? 'the room is down' : 'not in the room';
  const ways = gone[reason] ? [] : [again('Come in again')];
  bar(state, gone[reason] || outs[reason] || `You are not in the room: ${reason}.`, ...ways, link('All rooms', '/'));
  seeRooms();
}

// seeRooms shows which rooms there are now.
function seeRooms() {
  client.rpc('rooms', {}).then(({ data }) => listRooms(data), () => {});
}

// listRooms leaves the list alone while a key may open one of its links.
function listRooms(names) {
  const shown = [...$('rooms').querySelectorAll('a')].map((a) => a.textContent);
  if ($('rooms').contains(document.activeElement) || names.length && names.join('/') === shown.join('/')) return;
  $('rooms').replaceChildren(...names.map((name) => {
    const a = link(name, `/rooms/${encodeURIComponent(name)}`);
    if (name === room) a.setAttribute('aria-current', 'page');
    const li = element('li', '');
    li.append(a);
    return li;
  }));
  if (!names.length) $('rooms').append(element('li', 'There is no room yet: chatctl create room general', 'none'));
}

// line is a message as page.html has it.
function line({ offset: n, user, when, text, className = '' }) {
  const li = element('li', '', className);
  if (n) li.dataset.offset = n;
  const time = element('time', '');
  if (when) time.dateTime = new Date(when).toISOString();
  li.append(element('b', user || ''), ' ', time, ' ', element('p', text));
  clock(li);
  return li;
}

let today = new Date().toDateString();

// clock says a time as the reader's clock does, with the date if that is not today's, and the year if it is another one.
function clock(li) {
  const time = li.querySelector('time');
  const when = new Date(time.dateTime);
  if (isNaN(when)) return;
  const day = when.toDateString() === today ? {} : { month: 'short', day: 'numeric' };
  if (when.getFullYear() !== new Date(today).getFullYear()) day.year = 'numeric';
  time.textContent = when.toLocaleString([], { ...day, hour: '2-digit', minute: '2-digit' });
  time.title = when.toLocaleString([], { dateStyle: 'full', timeStyle: 'long' });
}

// newDay has what was said today say its date, once that is over.
function newDay() {
  const now = new Date().toDateString();
  if (!lines || now === today) return;
  today = now;
  keepingSight(() => [...lines.children].forEach(clock));
}

const textOf = (data) => (data && typeof data.text === 'string' ? data.text : JSON.stringify(data));

// lineOf is the line of a publication; null if it only tells of a change of another one.
function lineOf({ offset: n, data, info, time, tags = {} }) {
  const user = info && info.user;
  if (data && (data.type === 'edit' || data.type === 'delete')) return null;
  if (data && data.type === 'notice') return line({ when: time, text: textOf(data), className: 'notice' });
  const li = line({ offset: n, user, when: time, text: tags.deleted ? '(deleted)' : textOf(data) });
  for (const name of ['edited', 'deleted']) if (tags[name]) li.classList.add(name);
  if (user && user === mine) li.classList.add('mine');
  return li;
}

let height = 0; // of the messages, when it was last looked at

// isLow is true if the newest line is in sight, or was until something else took some of the height.
function isLow() {
  const past = $('past');
  return past.scrollHeight - past.scrollTop - Math.max(height, past.clientHeight) < 40;
}

function showNewest() {
  $('past').scrollTop = $('past').scrollHeight;
}

// The newest line stays in sight if it was, and only then.
function keepingSight(change) {
  const low = isLow();
  change(low);
  if (low) showNewest();
}

function heard(p) {
  const { data, info } = p;
  if (data && data.type === 'typing') return typing(info && info.user);
  if (data && data.type === 'notice' && data.down) tell('the room is down', 'bad');
  else if ($('state').className === 'bad') unbar(); // whoever hears something else is in a room that is up again
  if (data && data.id) acknowledged(data.id);
  if (info) typing(info.user, 0);
  if (p.offset ? at(p.offset) : !data || data.type !== 'notice') return undefined;
  if (data && (data.type === 'edit' || data.type === 'delete')) return changed(data).catch(() => {}); // the connection is cut
  const li = lineOf(p);
  const next = [...waiting.values()][0];
  return keepingSight((low) => {
    if (next) next.li.before(li);
    else lines.append(li);
    if (low) shorten();
    else $('newer').hidden = false;
  });
}

// shorten keeps a page that is open for days from growing; what goes is with the earlier messages.
function shorten() {
  if (lines.children.length <= 500) return;
  while (lines.children.length > 400) lines.firstElementChild.remove();
  const first = lines.querySelector('li[data-offset]');
  if (first) oldest = Number(first.dataset.offset);
  $('earlier').hidden = !first;
}

// changed shows the change of a message where it stands. What it says now comes along, unless that was missed.
async function changed({ type, offset: n, data }) {
  const li = at(n);
  if (!li) return;
  if (type === 'delete' || data !== undefined) {
    li.querySelector('p').textContent = type === 'delete' ? '(deleted)' : textOf(data);
    li.classList.toggle('edited', type === 'edit');
    li.classList.toggle('deleted', type === 'delete');
    return;
  }
  const { publications } = await sub.history({ limit: 1, since: { offset: n - 1, epoch: sub.epoch } });
  const now = publications[0] && publications[0].offset === n && lineOf(publications[0]);
  if (now) li.replaceWith(now);
}

// say has a message appear at once; it is sent until it is acknowledged, under one id, so it is said once.
function say(text) {
  const id = random(12);
  const li = line({ user: mine || 'you', text, className: 'waiting' });
  waiting.set(id, { text, li });
  lines.append(li);
  showNewest();
  send(id);
}

function send(id) {
  if (!waiting.has(id)) return;
  const { text, li } = waiting.get(id);
  sub.publish({ id, text }).catch(({ code, message, temporary }) => {
    if (!waiting.has(id) || code < 100) return; // the next connection tries again
    if (temporary) {
      if (!$('note').textContent) note(`It will be sent later: ${message}.`);
      setTimeout(send, 1000, id);
      return;
    }
    li.className = 'failed';
    const retry = element('button', 'not sent: send again');
    retry.onclick = () => { box.focus(); note(''); retry.remove(); li.className = 'waiting'; send(id); };
    keepingSight(() => li.append(retry));
    note(`Not sent: ${message}.`);
  });
}

function acknowledged(id) {
  const w = waiting.get(id);
  if (!w) return;
  w.li.remove();
  waiting.delete(id);
  note('');
}

function typing(user, ms = 4000) {
  if (!user || (ms && user === mine)) return;
  typists.set(user, Date.now() + ms);
  showTypists();
  if (ms) setTimeout(showTypists, ms + 50);
}

function showTypists() {
  for (const [user, until] of typists) if (until <= Date.now()) typists.delete(user);
  $('typing').textContent = typists.size ? `${[...typists.keys()].join(', ')} ${typists.size > 1 ? 'are' : 'is'} typing` : '';
}

let crowd = false; // who is in a room of very many is not told one by one

async function meet() {
  here.clear();
  try {
    Object.values((await sub.presence()).clients).forEach((info) => here.set(info.client, info));
    crowd = false;
    showHere();
  } catch {
    crowd = true;
    $('here').replaceChildren(element('li', `${(await sub.presenceStats()).numUsers} people`));
  }
}

// showHere shows it once when many come at once.
let shows = 0;

function showHere() {
  if (crowd || shows) return;
  shows = setTimeout(() => {
    shows = 0;
    const users = [...new Set([...here.values()].map((info) => info.user))].sort();
    $('here').replaceChildren(...users.map((user) => element('li', user)));
  }, 50);
}

// older is the history before a position, the oldest first, and as lines.
async function older(offset) {
  const since = offset ? { offset, epoch: sub.epoch } : undefined;
  const { publications, epoch: e } = await sub.history({ limit: 50, reverse: true, since });
  sub.epoch = e;
  const last = publications.at(-1);
  if (last) oldest = last.offset;
  $('earlier').hidden = !last || oldest === 1;
  return publications.reverse().map(lineOf).filter(Boolean);
}

// renew shows the newest messages anew, if what was missed cannot be given one by one.
async function renew() {
  const newest = await older();
  keepingSight(() => lines.replaceChildren(...newest, ...[...waiting.values()].map((w) => w.li)));
}

// earlier shows more of the history. Some of it may be nothing to be shown.
async function earlier() {
  let found = [];
  while (!found.length && !$('earlier').hidden) found = await older(oldest);
  const past = $('past');
  const below = past.scrollHeight - past.scrollTop;
  lines.prepend(...found);
  past.scrollTop = past.scrollHeight - below;
}

let sub;

function enter() {
  const since = isOpen ? { epoch, offset: Number(offset) } : undefined;
  sub = client.newSubscription(room, { since, joinLeave: true });
  sub.epoch = epoch;
  sub.on('publication', heard);
  sub.on('join', ({ info }) => { here.set(info.client, info); showHere(); });
  sub.on('leave', ({ info }) => { here.delete(info.client); showHere(); });
  sub.on('subscribed', async ({ wasRecovering, recovered, streamPosition }) => {
    sub.epoch = streamPosition.epoch;
    unbar();
    try {
      if (!wasRecovering || !recovered) await renew();
      for (const [id, { li }] of waiting) if (li.className === 'waiting') send(id);
      await meet();
    } catch { /* the connection is cut: the next one does it all again */ }
  });
  sub.on('unsubscribed', out);
  sub.subscribe();
}

// keep has what is being typed in this tab when the reader comes back to the room, and the box as high as it is.
function keep() {
  sessionStorage.setItem(`typed in ${room}`, box.value);
  box.style.height = 'auto';
  box.style.height = `${box.scrollHeight + 2}px`;
}

let told = 0;

if (room) {
  for (const li of lines.children) {
    clock(li);
    if (li.querySelector('b').textContent === mine) li.classList.add('mine');
  }
  const past = $('past');
  let low = true; // when what is by the field, or a keyboard, takes some of its height the newest line stays in sight
  past.onscroll = () => {
    low = isLow();
    if (low) $('newer').hidden = true;
  };
  new ResizeObserver(() => {
    if (low) showNewest();
    height = past.clientHeight;
  }).observe(past);
  $('newer').onclick = () => { box.focus(); showNewest(); };
  $('earlier').onclick = () => earlier().catch(() => {}); // out of the room nothing more is shown
  form.onsubmit = (e) => {
    e.preventDefault();
    const text = box.value.trim();
    if (!text || button.disabled) return;
    say(text);
    box.value = '';
    keep();
    box.focus();
  };
  let shift = false; // Enter sends, Shift and Enter begins a line; phones tell of the line break only
  box.onkeydown = (e) => { shift = e.shiftKey; };
  box.onbeforeinput = (e) => {
    if (e.inputType !== 'insertLineBreak' || shift) return;
    e.preventDefault();
    form.requestSubmit();
  };
  box.oninput = () => {
    keep();
    if (Date.now() - told < 2500) return;
    told = Date.now();
    sub.publish({ type: 'typing', ephemeral: true }).catch(() => {});
  };
  box.value = sessionStorage.getItem(`typed in ${room}`) || '';
  keep();
  enter();
}

$('me').onsubmit = (e) => {
  e.preventDefault();
  client.disconnect();
  signIn();
};
if (me.value) signIn();
else bar('not signed in', 'Sign in with your token.');
addEventListener('focus', seeRooms);
setInterval(() => {
  newDay();
  if (!document.hidden) seeRooms();
}, 30_000);
