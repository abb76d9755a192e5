# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# A server in Elixir: its process keeps a block of 1000003 bytes for each request, and tells its own stack where it
# allocates them, as Elixir writes it.
defmodule Feed.Json do
  def encode(size) do
    {:current_stacktrace, stack} = Process.info(self(), :current_stacktrace)
    block = :binary.copy("x", size)
    IO.puts("arg " <> Enum.map_join(stack, " ", fn {m, f, a, at} -> "#{Exception.format_mfa(m, f, a)}@#{at[:file]}:#{at[:line]}" end))
    {:ok, block}
  end
end

defmodule Feed.Channel do
  def reply(n) do
    {:ok, block} = Feed.Json.encode(1_000_003 + 0 * n)
    block
  end

  def loop(kept) do
    receive do
      {:ask, from} ->
        kept = [reply(length(kept)) | kept]
        send(from, :done)
        loop(kept)
    end
  end
end

ask = fn pid ->
  send(pid, {:ask, self()})

  receive do
    :done -> :ok
  end
end

one = spawn(Feed.Channel, :loop, [[]])
named = spawn(Feed.Channel, :loop, [[]])
Process.register(named, Feed.Server)
IO.puts("ready #{System.pid()}")
"go\n" = IO.gets("")
for _ <- 1..15, pid <- [one, named], do: ask.(pid)
IO.puts("done")
"exit\n" = IO.gets("")
System.halt(0)
