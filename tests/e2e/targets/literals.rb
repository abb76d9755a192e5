# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Keeps texts, arrays and hashes when it is told to (`keep N`: N of each, each from a line of its own, in a method that runs for nothing
# else). Each word is answered by a line of JSON: how many were kept so far, and how many objects of each type there are now, counted
# while nothing is collected.
require "json"

$kept = []
$times = 0

def keep
  number = $times.to_s # line of the number
  text =
    "a text that is made by its own line" # line of the text
  list =
    [1, 2, 3] # line of the list
  empty =
    [] # line of the empty list
  table =
    { "a" => 1, "b" => 2 } # line of the table
  pair = [text, list] # line of the pair
  filled = { text: text } # line of the filled table
  fresh = Array.new(3) # line of the fresh list
  named = Hash.new # line of the named table
  symbol = "symbol_#{$times}".to_sym # line of the symbol
  $kept << text << list << empty << table << pair << filled << fresh << named << number << symbol
  $times += 1
end

$stdout.sync = true
GC.disable
keep
puts "ready"
while (words = $stdin.gets&.split)
  before = ObjectSpace.count_objects.values_at(:T_STRING, :T_ARRAY, :T_HASH)
  words[1].to_i.times { keep } if words[0] == "keep"
  after = ObjectSpace.count_objects.values_at(:T_STRING, :T_ARRAY, :T_HASH)
  puts JSON.generate({ kept: $times, made: after.zip(before).map { |a, b| a - b } })
end
