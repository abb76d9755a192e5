# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# A program that keeps 20 011 bytes of each request (argument: requests a second), with garbage from each, and a second
# thread that keeps others. Words on stdin: count, stack, objects, collect, collections, pause, go; one line of JSON each.
require "json"
require_relative "journal"

$said = {}
$running = true
$journal = Journal.new

def size(who)
  $said[who] ||= caller_locations(1).map { |l| [l.label, l.path, l.lineno] }
  0
end

def noise
  JSON.generate((1..10).map { |k| { "k" => "x" * 100, "v" => (1..20).to_a } })
end

def handle(n)
  noise
  [n].each { |i| $journal.append(i) } # through C code and back
end

def objects
  GC.start
  { records: ObjectSpace.each_object(Journal::Record).count }.merge(ObjectSpace.count_objects)
end

def answer(word)
  case word
  when "count" then { kept: $journal.records.size }
  when "stack" then $said
  when "objects" then objects
  when "collect" then 5.times { GC.start }
  when "collections" then { full: GC.stat(:major_gc_count) }
  else
    $running = word == "go"
    {}
  end
end

def now
  Process.clock_gettime(Process::CLOCK_MONOTONIC)
end

def serve(rate)
  start = now
  n = 0
  loop do
    wait = $running ? [start + n / rate - now, 0].max : 1
    if IO.select([$stdin], nil, nil, wait)
      line = $stdin.gets or return
      puts JSON.generate(answer(line.strip))
    elsif $running
      handle(n)
      n += 1
    end
  end
end

Thread.new do
  loop do
    sleep 0.02
    $journal.other if $running
  end
end
$stdout.sync = true
puts "ready"
serve(ARGV[0].to_f)
