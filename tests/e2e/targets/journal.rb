# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Keeps a record of each call.
class Journal
  class Record
    def initialize(text)
      @text = text
    end
  end

  attr_reader :records

  def initialize
    @records = []
  end

  def append(n)
    @records << Record.new("x" * (20_011 + size(:main))) # line of the leak
  end

  def other
    @others = (@others || []) << "y" * (30_011 + size(:other)) # line of the other leak
  end
end
