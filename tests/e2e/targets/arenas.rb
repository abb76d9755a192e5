# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Threads that fill arenas of their own with texts of 601 bytes, 10 MB each. Argument, what of it is dropped and collected: `holes`,
# every other text, so that what is free is in holes of less than a page; `stretches`, of each 1000 the first half; `none`.
# Word: info; answered by a line of JSON with what glibc's malloc_info says: arenas, bytes free in them, bytes that they have.
require "fiddle"
require "json"
require "tempfile"

THREADS, TEXTS = 6, 16_000

LIBC = Fiddle.dlopen(nil)

def c_function(name, arguments, result)
  Fiddle::Function.new(LIBC[name], arguments, result)
end

FOPEN = c_function("fopen", [Fiddle::TYPE_VOIDP, Fiddle::TYPE_VOIDP], Fiddle::TYPE_VOIDP)
FCLOSE = c_function("fclose", [Fiddle::TYPE_VOIDP], Fiddle::TYPE_INT)
MALLOC_INFO = c_function("malloc_info", [Fiddle::TYPE_INT, Fiddle::TYPE_VOIDP], Fiddle::TYPE_INT)

def malloc_info
  Tempfile.create("malloc_info") do |file|
    stream = FOPEN.call(file.path, "w")
    MALLOC_INFO.call(0, stream)
    FCLOSE.call(stream)
    File.read(file.path)
  end
end

def is_dropped(what, n)
  what == "holes" ? n.odd? : what == "stretches" && n % 1000 < 500
end

$kept = Array.new(THREADS)
GC.disable
threads = Array.new(THREADS) do |i|
  Thread.new do
    $kept[i] = Array.new(TEXTS) { "x" * 600 }
    Thread.stop
  end
end
Thread.pass until threads.all?(&:stop?) && $kept.all?
$kept.each { |texts| TEXTS.times { |n| texts[n] = nil if is_dropped(ARGV[0], n) } }
GC.enable
3.times { GC.start }
$stdout.sync = true
puts "ready"
while $stdin.gets
  totals = malloc_info.split("</heap>").last # behind the arenas
  free = totals.scan(/<total type="(?:fast|rest)" count="\d+" size="(\d+)"/).sum { |size,| size.to_i }
  puts JSON.generate({ arenas: malloc_info.scan("<heap nr=").size, free: free,
                       system: totals[/<system type="current" size="(\d+)"/, 1].to_i })
end
