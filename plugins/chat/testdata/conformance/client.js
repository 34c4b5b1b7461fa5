// The official client, in its normal use, against a chat: node client.js URL FORM
// FORM is json or protobuf over a WebSocket, or sse or http_stream, where that is not to be had.
// It says "ok" when all was as it should be, and what was not otherwise.
import { Centrifuge } from 'centrifuge/build/protobuf';
import { Centrifuge as JSONCentrifuge } from 'centrifuge';
import WebSocket from 'ws';

const [url, form] = process.argv.slice(2);
const Client = form === 'protobuf' ? Centrifuge : JSONCentrifuge;
const encode = (v) => (form === 'protobuf' ? new TextEncoder().encode(JSON.stringify(v)) : v);
const decode = (v) => (form === 'protobuf' ? JSON.parse(new TextDecoder().decode(v)) : v);

function check(what, got, want) {
  if (JSON.stringify(got) !== JSON.stringify(want)) {
    throw new Error(`${what}: got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
  }
}

const event = (emitter, name) => new Promise((resolve) => emitter.once(name, resolve));

async function fails(what, code, promise) {
  try {
    await promise;
  } catch (e) {
    return check(what, e.code, code);
  }
  throw new Error(`${what}: did not fail`);
}

// seen collects publications, and waits for the next ones.
class Seen {
  constructor(sub) {
    this.list = [];
    sub.on('publication', (p) => {
      this.list.push([p.offset, decode(p.data).text, p.info && p.info.user]);
      if (this.wake) this.wake();
    });
  }
  async until(n) {
    while (this.list.length < n) await new Promise((resolve) => { this.wake = resolve; });
    return this.list;
  }
}

const streams = ['sse', 'http_stream'].includes(form);
const endpoint = streams ? [{ transport: form, endpoint: `${url}/connection/${form}` }] : url;

function client(token) {
  return new Client(endpoint, {
    websocket: WebSocket, emulationEndpoint: `${url}/emulation`, token, minReconnectDelay: 10, maxReconnectDelay: 50,
  });
}

async function main() {
  const ada = client('token-of-ada');
  const bob = client('token-of-bob');
  for (const c of [ada, bob]) {
    const connected = event(c, 'connected');
    c.connect();
    await connected;
  }

  const here = ada.newSubscription('general', { joinLeave: true });
  const there = bob.newSubscription('general');
  const seen = new Seen(here);
  let subscribed = event(here, 'subscribed');
  here.subscribe();
  const first = await subscribed;
  check('recoverable, positioned', [first.recoverable, first.positioned, first.wasRecovering], [true, true, false]);
  const joined = event(here, 'join');
  subscribed = event(there, 'subscribed');
  there.subscribe();
  await subscribed;
  check('join', (await joined).info.user, 'bob');

  await there.publish(encode({ text: 'one' }));
  await here.publish(encode({ text: 'two', id: 'x' }));
  await here.publish(encode({ text: 'two', id: 'x' }));
  await there.publish(encode({ text: 'typing', ephemeral: true }));
  check('publications', await seen.until(3), [[1, 'one', 'bob'], [2, 'two', 'ada'], [undefined, 'typing', 'bob']]
    .map(([o, ...rest]) => [o === undefined ? seen.list[2][0] : o, ...rest]));
  check('an ephemeral message has no offset', !seen.list[2][0], true);

  const presence = await here.presence();
  check('presence', Object.values(presence.clients).map((c) => c.user).sort(), ['ada', 'bob']);
  const stats = await here.presenceStats();
  check('presence stats', [stats.numClients, stats.numUsers], [2, 2]);
  let history = await here.history({ limit: 10 });
  check('history', history.publications.map((p) => [p.offset, decode(p.data).text]), [[1, 'one'], [2, 'two']]);
  check('its position', [history.offset, history.epoch], [2, first.streamPosition.epoch]);
  history = await here.history({ limit: 1, reverse: true });
  check('history backwards', history.publications.map((p) => p.offset), [2]);
  history = await here.history({ limit: 10, since: { offset: 1, epoch: history.epoch } });
  check('history since', history.publications.map((p) => p.offset), [2]);
  await fails('a position of another epoch', 112, here.history({ limit: 1, since: { offset: 1, epoch: 'other' } }));
  check('rpc', decode((await ada.rpc('rooms', encode({}))).data), ['general']);
  await fails('an unknown method', 104, ada.rpc('nothing', encode({})));
  await fails('an edit of somebody else\'s message', 103, ada.rpc('edit', encode({ room: 'general', offset: 1, data: { text: 'x' } })));
  await ada.send(encode({ text: 'for nobody' }));

  // A cut: what was said meanwhile is there after it, once and in order.
  const disconnected = event(ada, 'disconnected');
  ada.disconnect();
  await disconnected;
  for (const text of ['three', 'four', 'five']) await there.publish(encode({ text }));
  subscribed = event(here, 'subscribed');
  ada.connect();
  const again = await subscribed;
  check('recovered', [again.wasRecovering, again.recovered], [true, true]);
  check('what was missed', (await seen.until(6)).slice(3).map(([o, t]) => [o, t]), [[3, 'three'], [4, 'four'], [5, 'five']]);

  const left = event(here, 'leave');
  there.unsubscribe();
  check('leave', (await left).info.user, 'bob');
  await fails('publishing in a room one is not in', 103, bob.publish('general', encode({ text: 'x' })));

  const nowhere = ada.newSubscription('nowhere');
  const refused = event(nowhere, 'unsubscribed');
  nowhere.subscribe();
  check('an unknown channel', (await refused).code, 102);

  const eve = client('forged');
  const out = event(eve, 'disconnected');
  eve.connect();
  check('a forged token', (await out).code, 3500);

  for (const c of [ada, bob]) c.disconnect();
  console.log('ok');
}

main().catch((e) => { console.log(e.message); process.exit(1); }).then(() => process.exit(0));
