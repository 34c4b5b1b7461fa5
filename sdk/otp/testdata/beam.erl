%% What BenchmarkBesideBEAM measures of Erlang: each line is a name, then operations for each second of the clock, then
%% for each second of the processors, or one figure with its unit.
-module(beam).
-behaviour(gen_server).
-export([main/1, init/1, handle_call/3, handle_cast/2, victim/0]).

main([Group]) ->
    group(list_to_atom(Group)),
    halt().

%% The server is a counter.
init(supervisor) ->
    Child = #{id => victim, start => {?MODULE, victim, []}},
    {ok, {#{strategy => one_for_one, intensity => 1000000, period => 1}, [Child]}};
init(Count) -> {ok, Count}.

handle_call(_, _, Count) -> {reply, Count, Count + 1}.
handle_cast(hibernate, Count) -> {noreply, Count, hibernate};
handle_cast(_, Count) -> {noreply, Count + 1}.

victim() -> gen_server:start_link({local, victim}, ?MODULE, 0, []).

server() -> element(2, gen_server:start(?MODULE, 0, [])).

group(call) ->
    Server = server(),
    rate("call/1", 300000, fun(N) -> times(N, fun(_) -> gen_server:call(Server, inc) end) end),
    rate("call/64", 512000, fun(N) -> crowd(64, N, fun(_) -> gen_server:call(Server, inc) end) end);
group(cast) ->
    Server = server(),
    rate("cast", 1000000, fun(N) ->
        times(N, fun(_) -> gen_server:cast(Server, inc) end),
        gen_server:call(Server, inc, infinity)
    end);
group(spawn) ->
    N = 1000000,
    {Clock, Cpu} = {clock(), cpu()},
    Idle = [spawn(fun idle/0) || _ <- lists:seq(1, N)],
    both("spawn", N, Clock, Cpu),
    [exit(P, kill) || P <- Idle];
group(idle) ->
    N = 200000,
    Before = erlang:memory(processes_used),
    Servers = [server() || _ <- lists:seq(1, N)],
    figure("idle", (erlang:memory(processes_used) - Before) / N, "bytes"),
    [gen_server:cast(S, hibernate) || S <- Servers],
    [sys:get_state(S) || S <- Servers],
    [gen_server:cast(S, hibernate) || S <- Servers],
    timer:sleep(2000),
    figure("hibernated", (erlang:memory(processes_used) - Before) / N, "bytes");
group(restart) ->
    {ok, _} = supervisor:start_link(?MODULE, supervisor),
    Times = lists:sort([restart() || _ <- lists:seq(1, 2000)]),
    figure("restart/p50", lists:nth(1000, Times), "us"),
    figure("restart/p99", lists:nth(1980, Times), "us");
group(ets) ->
    N = 1000000,
    Table = ets:new(table, [set, public, {read_concurrency, true}, {write_concurrency, auto}]),
    [ets:insert(Table, {K, K, <<"0123456789abcdef">>}) || K <- lists:seq(0, N - 1)],
    Key = fun(I) -> I * 7919 rem N end,
    rate("lookup", 1000000, fun(C) -> times(C, fun(I) -> [_] = ets:lookup(Table, Key(I)) end) end),
    rate("insert", 1000000, fun(C) -> times(C, fun(I) -> ets:insert(Table, {Key(I), I, <<"0123456789abcdef">>}) end) end),
    rate("counter", 1000000, fun(C) -> times(C, fun(I) -> ets:update_counter(Table, Key(I), {2, 1}) end) end).

idle() -> receive stop -> ok end.

%% From the kill to the first answer of the next one.
restart() ->
    Old = whereis(victim),
    Began = erlang:monotonic_time(nanosecond),
    exit(Old, kill),
    next(Old),
    _ = gen_server:call(victim, inc),
    (erlang:monotonic_time(nanosecond) - Began) / 1000.

next(Old) ->
    case whereis(victim) of
        Pid when is_pid(Pid), Pid =/= Old -> Pid;
        _ -> erlang:yield(), next(Old)
    end.

times(0, _) -> ok;
times(N, Do) -> Do(N), times(N - 1, Do).

crowd(Callers, N, Do) ->
    Refs = [element(2, spawn_monitor(fun() -> times(N div Callers, Do) end)) || _ <- lists:seq(1, Callers)],
    [receive {'DOWN', Ref, process, _, normal} -> ok end || Ref <- Refs].

%% The median of five runs, by the processors.
rate(Name, N, Run) ->
    Rates = lists:sort([once(N, Run) || _ <- lists:seq(1, 5)]),
    {Cpu, Clock} = lists:nth(3, Rates),
    io:format("~s ~.1f ~.1f~n", [Name, Clock, Cpu]).

once(N, Run) ->
    {Clock, Cpu} = {clock(), cpu()},
    Run(N),
    {N / max(0.001, cpu() - Cpu), N / max(0.001, clock() - Clock)}.

both(Name, N, Clock, Cpu) ->
    io:format("~s ~.1f ~.1f~n", [Name, N / (clock() - Clock), N / (cpu() - Cpu)]).

figure(Name, Value, Unit) -> io:format("~s ~.1f ~s~n", [Name, float(Value), Unit]).

clock() -> erlang:monotonic_time(microsecond) / 1.0e6.
cpu() -> element(1, erlang:statistics(runtime)) / 1000.
