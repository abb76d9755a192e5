%% SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
%% Modules that are loaded while the node is watched: four so long that they need new room for code, and twelve brief ones
%% that come to the place of the one before, which is purged.
-module(later).
-export([main/0]).

%% A module with keep/1, which makes ten binaries of so many bytes, and N functions that make it long.
forms(Name, N) ->
    Calls = lists:join(", ", [["g(X + ", integer_to_list(J), ")"] || J <- lists:seq(1, 60)]),
    Text = ["-module(", Name, ").\nkeep(Size) -> [binary:copy(<<0>>, Size) || _ <- lists:seq(1, 10)].\ng(X) -> X.\n",
            [["f", integer_to_list(I), "(X) -> ", Calls, ".\n"] || I <- lists:seq(1, N)]],
    {ok, Tokens, _} = erl_scan:string(lists:flatten(Text)),
    parse(Tokens, []).

parse([], Forms) -> lists:reverse(Forms);
parse(Tokens, Forms) ->
    {Form, [Dot | Rest]} = lists:splitwith(fun(T) -> element(1, T) =/= dot end, Tokens),
    {ok, F} = erl_parse:parse_form(Form ++ [Dot]),
    parse(Rest, [F | Forms]).

compiled(Name, N) ->
    {ok, M, Code} = compile:forms(forms(Name, N), [export_all, nowarn_export_all]),
    {M, Code}.

%% Twice, as what is loaded first to new room cannot be known at once.
keeps({M, Code}, Pause) ->
    {module, M} = code:load_binary(M, "", Code),
    First = M:keep(100003),
    timer:sleep(Pause),
    Second = M:keep(100003),
    timer:sleep(250),
    {First, Second}.

main() ->
    Long = [compiled(lists:concat(["long", I]), 300) || I <- lists:seq(1, 4)],
    Brief = [compiled(lists:concat(["brief", I]), 2 + I rem 5) || I <- lists:seq(1, 12)],
    io:format("ready ~s~n", [os:getpid()]),
    "go\n" = io:get_line(""),
    Kept = [keeps(C, 2500) || C <- Long],
    Others = [begin
                  K = keeps(C, 250),
                  code:delete(element(1, C)),
                  code:purge(element(1, C)),
                  K
              end || C <- Brief],
    io:format("done~n"),
    "exit\n" = io:get_line(""),
    io:format("~p~n", [length(Kept) + length(Others)]),
    halt(0).
