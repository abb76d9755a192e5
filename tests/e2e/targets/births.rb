# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Makes objects of three classes when it is told to (`make N`: N orders, 2 N lines, N nameless), or all the time (`spin`); `fork` makes a child.
# Each word is answered by a line of JSON: what has been made so far, and the CPU time used.
require "json"

module Shop
  class Order
  end

  class Line
  end
end

$nameless = Class.new
$made = 0
$alive = IO.pipe

def make(count)
  count.times do
    Shop::Order.new # line of the orders
    2.times { Shop::Line.new } # line of the lines
    $nameless.new # line of the nameless
  end
  $made += count
end

$stdout.sync = true
puts "ready"
spinning = false
loop do
  unless spinning && !IO.select([$stdin], nil, nil, 0)
    words = ($stdin.gets or exit).split
    spinning = words[0] == "spin" || (spinning && words[0] == "count")
    make(words[1].to_i) if words[0] == "make"
    child = fork { [$alive[1].close, $alive[0].read] } if words[0] == "fork" # until the program ends
    times = Process.times
    puts JSON.generate({ made: $made, cpu: times.utime + times.stime, child: child })
  end
  make(1000) if spinning
end
