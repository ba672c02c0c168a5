// The service that the benchmark compares with: Express before a database,
// cache-aside over a Redis Cluster by ioredis, a time to live on each key.
// What a team writes by hand when it has no cache in front of its API.
//
//     node service.js --origin HOST:PORT --seed HOST:PORT...
//
// The origin stands for the database. Both libraries are as they come, but for
// NODE_ENV=production; nothing is logged.
'use strict';

const express = require('express');
const http = require('http');
const Redis = require('ioredis');
const { parseArgs } = require('util');

const TTL_S = 3600;

const { values: options } = parseArgs({
  options: {
    origin: { type: 'string' },
    seed: { type: 'string', multiple: true },
  },
});

function addressOf(text) {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) };
}

const origin = addressOf(options.origin);
const agent = new http.Agent({ keepAlive: true });
const redis = new Redis.Cluster(options.seed.map(addressOf));

function fetchFromOrigin(path) {
  return new Promise((resolve, reject) => {
    http.get({ ...origin, path, agent }, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('error', reject);
      answer.on('end', () => {
        if (answer.statusCode === 200) {
          resolve(Buffer.concat(parts).toString());
        } else {
          reject(new Error(`the origin answered ${answer.statusCode}`));
        }
      });
    }).on('error', reject);
  });
}

async function product(id) {
  const key = `product:${id}`;
  const cached = await redis.get(key);
  if (cached !== null) {
    return cached;
  }
  const fetched = await fetchFromOrigin(`/products/${id}`);
  await redis.set(key, fetched, 'EX', TTL_S);
  return fetched;
}

const app = express();

app.get('/products/:id', (request, response, next) => {
  product(request.params.id)
    .then((body) => response.type('json').send(body))
    .catch(next);
});

redis.once('ready', () => {
  const server = app.listen(0, '127.0.0.1', () => {
    console.error(`listening on 127.0.0.1:${server.address().port} (http)`);
    console.error('ready');
  });
  server.keepAliveTimeout = 60000;
});

process.on('SIGTERM', () => process.exit(0));
