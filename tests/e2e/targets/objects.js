// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
// A node program that grows by plain objects, which no allocator function ever sees: node objects.js ROUNDS. Each 10 ms ROUNDS
// times: growTable keeps 3 objects of a shape, for each one of the same shape that drawPage throws away; two more functions
// allocate little. Answers on stdout: "count" (objects of both so far; each of 11 words: map, properties, elements, 8 fields).
'use strict';

const table = new Array(200000); // as large as it gets: older ones give way
let kept = 0;
let drawn = 0;
let last = 0;

function growTable(n) {
  for (let i = 0; i < 300; i++)
    table[(kept + i) % 200000] = { a: n, b: i, c: n, d: i, e: n, f: i, g: n, h: i };
  kept += 300;
}

function drawPage(n) {
  for (let i = 0; i < 100; i++)
    last = { a: n, b: i, c: n, d: i, e: n, f: i, g: n, h: i };
  drawn += 100;
}

const others = [(n) => n + last.a, (n) => `${n}`.length, (n) => [n].length];
const all = [growTable, drawPage, ...others]; // called from one place: too many for the compiler to inline

function tick() {
  for (let i = 0; i < Number(process.argv[2]); i++)
    for (const f of all)
      f(i);
}

setInterval(tick, 10);
process.stdin.on('data', (data) => {
  for (const word of data.toString().trim().split('\n'))
    console.log(JSON.stringify({ kept, drawn, word }));
});
process.stdin.on('end', () => process.exit(0));
console.log('ready');
