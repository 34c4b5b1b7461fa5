// What a program for Node does with ioredis: strings, hashes, pipelines, transactions, subscriptions.
const assert = require("assert");
const Redis = require("ioredis");

async function main(port) {
  const redis = new Redis({ port, connectionName: "test", maxRetriesPerRequest: 1 });
  assert.equal(await redis.set("user:42", "active", "EX", 30), "OK");
  assert.equal(await redis.get("user:42"), "active");
  assert.equal(await redis.ttl("user:42"), 30);
  await redis.hset("session:1", { user: "ada", cart: "3" });
  assert.deepEqual(await redis.hgetall("session:1"), { user: "ada", cart: "3" });
  assert.equal(await redis.hincrby("session:1", "cart", 2), 5);
  const piped = await redis.pipeline().incr("n").incr("n").get("n").exec();
  assert.deepEqual(piped, [[null, 1], [null, 2], [null, "2"]]);
  const done = await redis.multi().set("a", "1").get("a").exec();
  assert.deepEqual(done, [[null, "OK"], [null, "1"]]);
  const keys = new Set();
  for await (const some of redis.scanStream({ match: "*", count: 2 })) some.forEach((k) => keys.add(k));
  assert.equal(keys.size, 4);

  const listener = new Redis({ port });
  const heard = new Promise((resolve) => listener.on("message", (channel, text) => resolve([channel, text])));
  assert.equal(await listener.subscribe("news"), 1);
  assert.equal(await redis.publish("news", "hello"), 1);
  assert.deepEqual(await heard, ["news", "hello"]);
  await Promise.all([redis.quit(), listener.quit()]);
  console.log("ok");
}

main(Number(process.argv[2])).catch((e) => { console.error(e); process.exit(1); });
