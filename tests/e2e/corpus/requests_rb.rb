# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Of the verdict's corpus, in Ruby: what a request leaves in an array that nobody empties. Arguments: the shape
# (`leaks`, `steady`), a seed, the load in percent of one CPU. Rates as in targets/corpus.h: by the clock.
STEP_S = 0.01
shape, load = ARGV[0], ARGV[2].to_f
chance = Random.new(ARGV[1].to_i)
factor = chance.rand(0.8..1.2)
$kept, $recent, left = [], Array.new(64), 0.0

def now(clock = Process::CLOCK_MONOTONIC)
  Process.clock_gettime(clock)
end

def request(chance)
  words = Array.new(20) { "w" * chance.rand(50..900) }
  $recent[chance.rand(64)] = { words: words, time: now }
end

def remember # about a kilobyte
  $kept << { body: "b" * 900, headers: [$kept.size.to_s] }
end

puts "ready #{Process.pid}"
$stdout.flush
due = now
loop do
  start, cpu = now, now(Process::CLOCK_THREAD_CPUTIME_ID)
  left += 100e3 * factor * STEP_S if shape == "leaks"
  while left >= 1200
    remember
    left -= 1200
  end
  request(chance)
  request(chance) while now(Process::CLOCK_THREAD_CPUTIME_ID) - cpu < STEP_S * load / 100 && now - start < STEP_S
  due = [due, now - 0.1].max + STEP_S
  rest = due - now
  sleep rest if rest > 0
end
