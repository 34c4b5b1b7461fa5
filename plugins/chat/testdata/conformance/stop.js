// Official clients of a chat that stops: node stop.js URL
// It says "connected" when they are, and "ok" when each has been told to come back and tries to, at a time of its own.
import { Centrifuge } from 'centrifuge';
import WebSocket from 'ws';

const url = process.argv[2];
const many = 20;
const tries = [];

class Noted extends WebSocket {
  constructor(...args) {
    super(...args);
    tries.push(Date.now());
  }
}

function fail(text) {
  console.log(text);
  process.exit(1);
}

setTimeout(() => fail(`${tries.length} tries`), 20000).unref();
const clients = [];
const came = [];
const told = [];
for (let i = 0; i < many; i++) {
  const c = new Centrifuge(url, { websocket: Noted, token: 'token-of-ada' });
  came.push(new Promise((resolve) => { c.once('connected', resolve); }));
  c.connect();
  told.push(new Promise((resolve) => { c.on('connecting', resolve); }));
  clients.push(c);
}
await Promise.all(came);
console.log('connected');
for (const e of await Promise.all(told)) {
  if (e.code !== 3001 || e.reason !== 'shutdown') fail(`told ${e.code} ${e.reason}`);
}
const end = Date.now();
while (tries.length < 2 * many) await new Promise((resolve) => { setTimeout(resolve, 10); });
const waits = tries.slice(many, 2 * many).map((t) => t - end);
const spread = Math.max(...waits) - Math.min(...waits);
if (Math.min(...waits) < 400 || spread < 100) fail(`they come back after ${waits} ms`);
console.log('ok');
process.exit(0);
