%% SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
%% Long-lived processes that build replies of 150 KB, in the ways in which such programs keep memory:
%%   idle   nothing is kept; garbage stays until the process collects again
%%   sub    100 bytes of each reply are kept, and with them the whole of it
%%   slice  60 bytes are kept: those are copied
%%   fixed  a process of its own builds each reply, and ends
%%   ets    a list of 200 numbers goes into a table for each request
%%   lists  a list of 5000 numbers is kept in the process for each request
%%   file   the file "block" beside this module is read, as a dirty I/O scheduler does, and kept
%%   hoard  a binary of 4 MB is kept for each request
%%   leak   a reply of 25 KB is garbage, and an entry of 8 KB for it stays in a journal
%%   all    each request is one to all processes at once: binaries, lists and a row of a table, all garbage
%%   sweep  a list of 100000 numbers is kept, and all garbage is collected for each request
%%   mark   each process allocates 1000003 bytes below some calls, and tells its own stack there
%% served_ before it: the processes are gen_servers, and 40000 others came and went before them, so that their numbers are
%% high (of OTP 25: begin again, with a serial of 1). Then it tells the name of each process of the node.
%% A fourth argument: milliseconds from one request to the next, by the clock: what a busy machine delays is made up for.
-module(feed).
-behaviour(gen_server).
-export([main/1, worker/2, handle/2, encode/2, one/1, two/1, three/1, mark/1, init/1, handle_call/3, handle_cast/2,
         handle_info/2]).

-define(REPLY, 2400).
-define(PIECE, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef").

encode(0, Acc) -> Acc;
encode(N, Acc) -> encode(N - 1, <<Acc/binary, ?PIECE>>).

handle(idle, Kept) -> _ = byte_size(encode(?REPLY, <<>>)), Kept;
handle(sub, Kept) -> Reply = encode(?REPLY, <<>>), <<Part:100/binary, _/binary>> = Reply, [Part | Kept];
handle(slice, Kept) -> Reply = encode(?REPLY, <<>>), <<Part:60/binary, _/binary>> = Reply, [Part | Kept];
handle(fixed, Kept) ->
    {Pid, Ref} = spawn_monitor(fun() -> byte_size(encode(?REPLY, <<>>)) end),
    receive {'DOWN', Ref, process, Pid, _} -> Kept end;
handle(ets, Kept) -> ets:insert(cache, {make_ref(), lists:seq(1, 200)}), Kept;
handle(lists, Kept) -> [lists:seq(1, 5000) | Kept];
handle(file, Kept) -> {ok, Block} = prim_file:read_file(beside("block")), true = is_binary(Block), [Block | Kept];
handle(hoard, Kept) -> [binary:copy(<<0:8>>, 4000000) | Kept];
handle(leak, Kept) -> Entry = journal(compute(2000000, byte_size(encode(400, <<>>)))), [Entry | Kept];
handle(all, Kept) ->
    ets:insert(cache, {self(), byte_size(encode(100, <<>>)), lists:sum(lists:seq(1, 2000)), lists:seq(1, 20)}),
    Kept;
handle(sweep, []) -> handle(sweep, lists:seq(1, 100000));
handle(sweep, Kept) -> true = erlang:garbage_collect(), Kept;
handle(mark, Kept) -> Block = one(0), [Block | Kept].

%% A request is more than its allocations: a budget of a tenth of its time pays for each of them.
compute(0, X) -> X;
compute(N, X) -> compute(N - 1, (X * 31 + N) band 16#ffffff).

journal(Size) -> Entry = binary:copy(<<0:8>>, 8192 + 0 * Size), true = is_binary(Entry), Entry.

beside(Name) -> filename:join(filename:dirname(code:which(?MODULE)), Name).

%% not tail calls: each leaves its frame
one(Sum) -> Block = two(Sum + 1), true = is_binary(Block), Block.
two(Sum) -> Block = three(Sum + 1), true = is_binary(Block), Block.
three(Sum) -> Block = mark(Sum + 1), true = is_binary(Block), Block.

mark(Sum) ->
    {current_stacktrace, Stack} = process_info(self(), current_stacktrace),
    Block = binary:copy(<<0:8>>, 1000003 + 0 * Sum),
    io:format("arg ~s~n", [string:join([io_lib:format("~s:~s/~b@~s:~b", [M, F, A | [proplists:get_value(K, L, none) || K <- [file, line]]]) ||
                                      {M, F, A, L} <- Stack], " ")]),
    Block.

worker(Mode, Kept) ->
    receive
        {ask, From} ->
            Now = handle(Mode, Kept),
            From ! done,
            worker(Mode, Now)
    end.

init(Mode) -> {ok, {Mode, []}}.
handle_call(_, _, State) -> {reply, ok, State}.
handle_cast(_, State) -> {noreply, State}.
handle_info({ask, From}, {Mode, Kept}) ->
    Now = handle(Mode, Kept),
    From ! done,
    {noreply, {Mode, Now}}.

come_and_go(0) -> ok;
come_and_go(N) -> {_, Ref} = spawn_monitor(fun() -> ok end), receive {'DOWN', Ref, process, _, _} -> come_and_go(N - 1) end.

prepare("served_" ++ _) -> come_and_go(40000);
prepare(_) -> ok.

start("served_" ++ Mode) -> {ok, Pid} = gen_server:start(?MODULE, list_to_atom(Mode), []), Pid;
start(Mode) -> spawn(?MODULE, worker, [list_to_atom(Mode), []]).

started_for(Pid) ->
    {initial_call, Call} = process_info(Pid, initial_call),
    case Call of
        {proc_lib, init_p, _} -> proc_lib:translate_initial_call(Pid);
        _ -> Call
    end.

name(Pid) ->
    case process_info(Pid, registered_name) of
        {registered_name, Name} -> atom_to_list(Name);
        [] -> {M, F, A} = started_for(Pid), io_lib:format("~s:~s/~b", [M, F, A])
    end.

tell("lists", Ws) -> [io:format("arg ~p ~b~n", [W, element(2, process_info(W, memory))]) || W <- Ws];
tell("served_" ++ _, _) -> [io:format("arg ~p ~s~n", [P, name(P)]) || P <- processes()];
tell(_, _) -> [].

now_ms() -> erlang:monotonic_time(millisecond).

%% until the time of the next request
next(Due, Every) ->
    timer:sleep(max(0, Due + Every - now_ms())),
    Due + Every.

ask(_, 0, _, _) -> ok;
ask([W | Ws], N, Every, Due) ->
    W ! {ask, self()},
    receive done -> ok end,
    ask(Ws ++ [W], N - 1, Every, next(Due, Every)).

ask_all(_, 0, _, _) -> ok;
ask_all(Ws, N, Every, Due) ->
    [W ! {ask, self()} || W <- Ws],
    [receive done -> ok end || _ <- Ws],
    ask_all(Ws, N - 1, Every, next(Due, Every)).

value(Name, N) -> io:format("value ~s ~b~n", [Name, N]).

loop(Mode, Ws, Requests, Every) ->
    case io:get_line("") of
        "go\n" when Mode == "all" ->
            ask_all(Ws, Requests, Every, now_ms()),
            io:format("done~n"),
            loop(Mode, Ws, Requests, Every);
        "go\n" ->
            ask(Ws, Requests, Every, now_ms()),
            tell(Mode, Ws),
            value(processes, erlang:memory(processes)),
            value(binary, erlang:memory(binary)),
            value(count, erlang:system_info(process_count)),
            io:format("done~n"),
            loop(Mode, Ws, Requests, Every);
        "count\n" ->
            value(collections, element(1, erlang:statistics(garbage_collection))),
            io:format("done~n"),
            loop(Mode, Ws, Requests, Every);
        _ -> halt(0)
    end.

main([Mode, Workers, Requests]) -> main([Mode, Workers, Requests, "0"]);
main([Mode, Workers, Requests, Every]) ->
    ets:new(cache, [named_table, public]),
    prepare(Mode),
    Ws = [start(Mode) || _ <- lists:seq(1, list_to_integer(Workers))],
    register(first_worker, hd(Ws)),
    io:format("ready ~s~n", [os:getpid()]),
    loop(Mode, Ws, list_to_integer(Requests), list_to_integer(Every)).
