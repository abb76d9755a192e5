# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# A master with 48 MiB of texts, and workers that it forks. Words: fork N; touch P: each worker writes into P percent of the
# texts that it has from its master. Each is answered by a line of JSON: the workers' pids, bytes written by each.
require "json"

TEXTS = Array.new(12 * 1024) { "x" * 4095 }
$workers = []

def work(orders, done)
  while (line = orders.gets)
    written = TEXTS.first(TEXTS.size * line.to_i / 100).each { |text| text.setbyte(0, 121) }.sum(&:bytesize)
    done.puts written
    done.flush
  end
  exit!(0)
end

def start
  orders, done = IO.pipe, IO.pipe
  pid = fork do
    $workers.each { |w| w[:orders].close }
    orders[1].close
    work(orders[0], done[1])
  end
  { pid: pid, orders: orders[1], done: done[0] }
end

$stdout.sync = true
GC.start
puts "ready"
while (line = $stdin.gets)
  word, n = line.split
  written = 0
  n.to_i.times { $workers << start } if word == "fork"
  if word == "touch"
    $workers.each { |w| w[:orders].puts(n) || w[:orders].flush }
    written = $workers.map { |w| w[:done].gets.to_i }.max
  end
  puts JSON.generate({ workers: $workers.map { |w| w[:pid] }, written: written })
end
