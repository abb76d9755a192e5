// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
// A node program with fifty functions that have others in their compiled code, some of them themselves, and which then rests. What is
// in what V8 decides; that the functions are compiled it is told by its own test functions. node compiled.js
'use strict';

const v8 = require('node:v8');
const vm = require('node:vm');

v8.setFlagsFromString('--allow-natives-syntax');
const prepare = new Function('f', '%PrepareFunctionForOptimization(f)');
const optimize = new Function('f', '%OptimizeFunctionOnNextCall(f)');
const neverInline = new Function('f', '%NeverOptimizeFunction(f)');

// each of its own, on lines of their own: leaf and middle are put into outer, and twice into twice
const source = (i) => `
function sink${i}(n) { return String(n).length; }
function leaf${i}(n) {

  return sink${i}(n + ${i});
}
function middle${i}(n) {
  const m = leaf${i}(n);


  return m + leaf${i}(n + 1);
}
function twice${i}(n) { return n > 2 ? sink${i}(n) : twice${i}(n + 1) + leaf${i}(n); }
function outer${i}(n) {
  let sum = middle${i}(n);
  sum += twice${i}(n & 1);
  return sum;
}
[sink${i}, leaf${i}, middle${i}, twice${i}, outer${i}]`;

const all = [];
for (let i = 0; i < 50; i++) {
  const [sink, ...rest] = vm.runInThisContext(source(i), { filename: `/generated/${i}.js` });
  neverInline(sink);
  rest.forEach(prepare);
  for (let k = 0; k < 10; k++)
    rest[3](k);
  optimize(rest[3]);
  optimize(rest[2]);
  rest[3](0);
  rest[2](0);
  all.push(rest);
}
process.stdin.on('data', () => {});
process.stdin.on('end', () => process.exit(0));
console.log('ready');
