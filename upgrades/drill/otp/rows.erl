%% A server with a map of rows. Version 1 keeps {Name, Visits} under each key, version 2 {Name, Visits, Seen}.
-module(rows).
-behaviour(gen_server).
-export([start_link/0, init/1, handle_call/3, handle_cast/2]).

-ifdef(V2).
-export([code_change/3]).
-define(VERSION, "2").

row(Key) -> {<<Key:256>>, 0, 0}.

code_change({down, _}, Rows, _) -> {ok, maps:map(fun(_, {Name, Visits, _Seen}) -> {Name, Visits} end, Rows)};
code_change(_, Rows, _) -> {ok, maps:map(fun(_, {Name, Visits}) -> {Name, Visits, 0} end, Rows)}.
-else.
-define(VERSION, "1").

row(Key) -> {<<Key:256>>, 0}.
-endif.

start_link() -> gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

init([]) -> {ok, #{}}.

handle_call({fill, Size}, _, _) -> {reply, ok, maps:from_list([{Key, row(Key)} || Key <- lists:seq(1, Size)])};
handle_call({get, Key}, _, Rows) -> {reply, map_get(Key, Rows), Rows};
%% What version runs, how many rows there are, and how many of them are as this version writes them.
handle_call(count, _, Rows) ->
  Right = maps:fold(fun(Key, Row, Sum) -> case row(Key) of Row -> Sum + 1; _ -> Sum end end, 0, Rows),
  {reply, {?VERSION, map_size(Rows), Right}, Rows}.

handle_cast(_, Rows) -> {noreply, Rows}.
