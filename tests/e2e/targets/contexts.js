// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
// A mail renderer's shape in node: each request makes a context with a table and much garbage. node contexts.js MODE RATE
// COLLECT_MS. MODE map: contexts stay in a Map keyed by the request, which nothing deletes; weakmap: the same in a WeakMap;
// buffer: a Buffer of each request stays; array: contexts stay in a list of an object; cache: in a Map that drops the oldest
// of more than 1000. Answers on stdout: "count", "collect". Collects all garbage each COLLECT_MS too (0: does not).
'use strict';
const { PerformanceObserver, constants } = require('node:perf_hooks');
const v8 = require('node:v8');
const vm = require('node:vm');

v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc');

class RecordTable {
  constructor(n) {
    this.rows = [n, n + 1, n + 2, n + 3];
    this.first = this.last = n;
    this.order = this.page = this.total = 0;
  }
}

class RenderContext {
  constructor(n) {
    this.id = n;
    this.depth = this.width = this.height = this.lines = this.errors = 0;
    this.table = new RecordTable(n);
  }
}

class Scratch { // garbage: much of it
  constructor(n) {
    this.n = n;
  }
}

class Registry {
  constructor() {
    this.retainedContexts = [];
  }
}

const openContexts = new Map();
const weakContexts = new WeakMap();
const pendingBodies = [];
const registry = new Registry();
const mode = process.argv[2] || 'map';
const interval = 10;
const perTick = Number(process.argv[3] || 200) * interval / 1000;
let requests = 0;
let kept = 0;

function remember(request, context) {
  openContexts.set(request, context);
  if (openContexts.size > 1000)
    openContexts.delete(openContexts.keys().next().value);
}

function keep(request, n) {
  if (mode === 'map')
    openContexts.set(request, new RenderContext(n)); // line of the leak
  else if (mode === 'weakmap')
    weakContexts.set(request, new RenderContext(n));
  else if (mode === 'cache')
    remember(request, new RenderContext(n));
  else if (mode === 'array')
    registry.retainedContexts.push(new RenderContext(n));
  else
    pendingBodies.push(Buffer.alloc(20000, n & 255)); // line of the buffers
  kept++;
}

function noise(n) {
  const all = [];

  for (let i = 0; i < 50; i++)
    all.push(new Scratch(n + i));
  return JSON.parse(JSON.stringify(all)).length;
}

function handle(n) {
  noise(n);
  keep({ url: '/mail/' + n }, n);
}

function tick() {
  for (let i = 0; i < perTick; i++)
    handle(requests++);
}

let collections = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries())
    collections += entry.detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR;
}).observe({ entryTypes: ['gc'] });

function answer() {
  console.log(JSON.stringify({ requests, kept, collections, pid: process.pid, ...process.memoryUsage() }));
}

setInterval(tick, interval);
if (Number(process.argv[4]))
  setInterval(collect, Number(process.argv[4]));
process.stdin.on('data', (data) => {
  for (const word of data.toString().trim().split('\n')) {
    if (word === 'collect')
      collect();
    setTimeout(answer, 20); // what was observed comes a turn later
  }
});
process.stdin.on('end', () => process.exit(0));
console.log('ready');
