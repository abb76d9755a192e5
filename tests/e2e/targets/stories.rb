# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Requests of one kind, the garbage of each far more than what is kept of it. Arguments: kind, requests a second (0: only
# those that are asked for). Words on stdin, a line of JSON for each: serve N, collect, major (one collection), count.
#
#   leak    a list keeps 2 011 bytes of each, and a second thread, which does a part of each request, a tree of 60 hashes
#   steady  nothing is kept
#   bloat   a cache keeps up to 400 texts of 20 001 bytes, found by chance; now and then a huge request
require "json"

class Store
  attr_reader :kept, :trees, :cache

  def initialize
    @kept = []
    @trees = []
    @cache = {}
  end

  def keep
    text = "x" * 2011 # line of the leak
    @kept << text
  end

  def grow(n)
    tree = (1..60).map do |k|
      { "key" => n, k => "v" * 100 } # line of the other leak
    end
    @trees << tree
  end

  def fetch(key)
    @cache.delete(@cache.first[0]) if @cache.size >= 400
    @cache[key] ||= "c" * 20_001 # line of the cache
  end
end

class Page
  def excerpt
    (1..100).map { "e" * 1000 }.size # line of the churn
  end

  def huge = Array.new(3000) { "h" * 1000 }.size
end

class Requests
  attr_reader :served

  def initialize(kind)
    @kind = kind
    @store = Store.new
    @page = Page.new
    @work, @done = Queue.new, Queue.new
    @random = Random.new(3)
    @served = 0
    Thread.new { loop { @store.grow(@work.pop); @done << true } } if kind == "leak"
  end

  def one
    @served += 1
    @page.excerpt
    JSON.parse(JSON.generate("id" => @served, "text" => "t" * 500))
    case @kind
    when "leak"
      @store.keep
      @work << @served
      @done.pop
    when "bloat"
      @store.fetch(@random.rand(4000))
      @page.huge if (@served % 700).zero?
    end
  end

  def counts = { served: @served, kept: @store.kept.size, trees: @store.trees.size, cache: @store.cache.size,
                 full: GC.stat(:major_gc_count) }
end

def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

$stdout.sync = true
requests, rate = Requests.new(ARGV[0]), ARGV[1].to_f
start, n = now, 0
puts "ready"
loop do
  wait = rate.positive? ? [start + n / rate - now, 0].max : 60
  if IO.select([$stdin], nil, nil, wait)
    word, number = ($stdin.gets or break).split
    number.to_i.times { requests.one } if word == "serve"
    3.times { GC.start } if word == "collect"
    GC.start if word == "major"
    puts JSON.generate(requests.counts)
  elsif rate.positive?
    requests.one
    n += 1
  end
end
