// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
// A node program whose functions are compiled into one another's code, told to V8 by its own test functions: serve has keep in it, keep has
// makeBuffer. Each 10 ms serve keeps a Buffer. Answers on stdout: "count"; "stack": Error().stack where the Buffers are made; "status":
// V8's words on serve (bit 4: the optimizing compiler's code). node inlined.js
'use strict';

const v8 = require('node:v8');

v8.setFlagsFromString('--allow-natives-syntax');
const prepare = new Function('f', '%PrepareFunctionForOptimization(f)');
const optimize = new Function('f', '%OptimizeFunctionOnNextCall(f)');
const neverInline = new Function('f', '%NeverOptimizeFunction(f)');
const status = new Function('f', 'return %GetOptimizationStatus(f)');
const kept = [];
let last = null;
let tell = false;

function store(n) { // not compiled: the line of its call is exact either way
  kept.push(Buffer.alloc(20000, n & 255)); // line of the Buffer
  if (tell)
    last = new Error('here').stack;
}

function makeBuffer(n) {
  const more = n + 1;
  store(more); // line of makeBuffer's call
}

function keep(n) {
  if (n < 0)
    return;

  makeBuffer(n); // line of keep's call
}

function serve(n) {
  n &= 0xffff;

  keep(n); // line of serve's call
}

neverInline(store);
for (const f of [makeBuffer, keep, serve])
  prepare(f);
for (let i = 0; i < 10; i++)
  serve(i);
optimize(serve);
serve(0);
kept.length = 0;

let requests = 0;
setInterval(() => serve(requests++), 10);
process.stdin.on('data', (data) => {
  for (const word of data.toString().trim().split('\n')) {
    if (word === 'stack') {
      tell = true;
      serve(requests++);
      tell = false;
      console.log(JSON.stringify(last));
    } else if (word === 'status') {
      console.log(JSON.stringify(status(serve)));
    } else {
      console.log(JSON.stringify({ kept: kept.length }));
    }
  }
});
process.stdin.on('end', () => process.exit(0));
console.log('ready');
