// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
// A node that has no time to spare, in one thread or several: Buffers that are dropped at once, and in each hundredth
// place one that is kept. node buffers.js THREADS. Answers "count" on stdout with how many are kept, in all threads.
'use strict';
const { Worker, isMainThread, workerData } = require('worker_threads');
const counts = workerData || new Int32Array(new SharedArrayBuffer(4));
const kept = [];
let n = 0;

function keepBuffer() {
  kept.push(Buffer.alloc(5000, n & 255)); // line of the leak
  Atomics.add(counts, 0, 1);
}

function dropBuffer() {
  return Buffer.alloc(5000, n & 255).length;
}

function turn() {
  for (let i = 0; i < 100; i++)
    if (++n % 100 === 0)
      keepBuffer();
    else
      dropBuffer();
  setImmediate(turn);
}

turn();
if (isMainThread) {
  for (let i = 1; i < Number(process.argv[2] || 1); i++)
    new Worker(__filename, { workerData: counts });
  process.stdin.on('data', () => console.log(JSON.stringify({ kept: counts[0] })));
  process.stdin.on('end', () => process.exit(0));
  console.log('ready');
}
