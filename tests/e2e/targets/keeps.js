// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
// A server's shape in node: a timer, a handler that makes garbage, one Buffer kept per request, one object in a Map.
// Answers on stdout: "stack" tells Error().stack where Buffers are kept; "count" how many were. node keeps.js RATE
'use strict';
const kept = [];
const contexts = new Map();
let requests = 0;
let stack = null;

class RenderContext {
  constructor(n) {
    this.n = n;
    this.rows = Array.from({ length: 50 }, (_, i) => n * i);
  }
}

function keepBuffer(n) {
  if (!stack && n > 50)
    stack = new Error('here').stack;
  kept.push(Buffer.alloc(20000, n & 255)); // line of the leak
}

function makeGarbage() {
  return JSON.parse(JSON.stringify({ a: [1, 2, 3], b: 'x'.repeat(200) }));
}

function loadContext(n) {
  contexts.set({ n }, new RenderContext(n));
}

const handle = (n) => {
  makeGarbage();
  keepBuffer(n);
  loadContext(n);
};

function tick() {
  handle(requests++);
}

setInterval(tick, 1000 / Number(process.argv[2] || 100));
process.stdin.on('data', (data) => {
  for (const word of data.toString().trim().split('\n')) {
    if (word === 'stack')
      console.log(JSON.stringify(stack));
    else if (word === 'count')
      console.log(JSON.stringify({ requests, kept: kept.length, contexts: contexts.size, pid: process.pid }));
  }
});
process.stdin.on('end', () => process.exit(0));
console.log('ready');
