%% The application around the rows, its two releases, and the client that measures how long they keep it waiting.
-module(pause).
-behaviour(application).
-behaviour(supervisor).
-export([start/2, stop/1, init/1, build/1, measure/1]).

-define(SETTLED, 300). % ms that a version serves before the next change

start(_, _) -> supervisor:start_link({local, ?MODULE}, ?MODULE, []).

stop(_) -> ok.

init([]) -> {ok, {#{}, [#{id => rows, start => {rows, start_link, []}}]}}.

%% build makes both releases in Dir/1 and Dir/2 and lays out in Dir/root a system that boots the first of them.
build([Source, Dir]) ->
  [release(Source, Dir, Version) || Version <- ["1", "2"]],
  [One, Two] = [name(Dir, Version) || Version <- ["1", "2"]],
  ok = systools:make_relup(Two, [One], [One], options(Dir, "2")),
  ok = systools:make_tar(One, [{erts, code:root_dir()} | options(Dir, "1")]),
  ok = systools:make_tar(Two, options(Dir, "2")),
  Root = filename:join(Dir, "root"),
  Releases = filename:join(Root, "releases"),
  ok = erl_tar:extract(One ++ ".tar.gz", [compressed, {cwd, Root}]),
  ok = release_handler:create_RELEASES(Root, Releases, filename:join(Releases, "pause-1.rel"), []),
  ok = file:write_file(filename:join(Releases, "start_erl.data"), [erlang:system_info(version), " 1\n"]),
  ok = file:rename(Two ++ ".tar.gz", filename:join(Releases, "pause-2.tar.gz")).

%% Each version has a folder of its own: make_tar packs any relup that it finds beside the release.
release(Source, Dir, Version) ->
  Out = filename:join([Dir, Version, "ebin"]),
  ok = filelib:ensure_path(Out),
  Flags = [report, {outdir, Out}] ++ [{d, 'V2'} || Version =:= "2"],
  [{ok, Module} = compile:file(filename:join(Source, Module), Flags) || Module <- [pause, rows]],
  term([Out, "pause.app"], {application, pause, [{description, "rows"}, {vsn, Version}, {modules, [pause, rows]},
    {registered, [pause, rows]}, {applications, [kernel, stdlib, sasl]}, {mod, {pause, []}}]}),
  Change = [{"1", [{update, rows, {advanced, []}}]}],
  [term([Out, "pause.appup"], {"2", Change, Change}) || Version =:= "2"],
  term([Dir, Version, "sys.config"], [{kernel, [{logger_level, critical}]}]),
  term([name(Dir, Version) ++ ".rel"], {release, {"pause", Version}, {erts, erlang:system_info(version)},
    [stock(Name) || Name <- [kernel, stdlib, sasl]] ++ [{pause, Version}]}),
  ok = systools:make_script(name(Dir, Version), options(Dir, Version)).

name(Dir, Version) -> filename:join([Dir, Version, "pause-" ++ Version]).

options(Dir, Version) -> [{path, [filename:join([Dir, "*", "ebin"])]}, {outdir, filename:join(Dir, Version)}].

stock(Name) ->
  _ = application:load(Name),
  {ok, Version} = application:get_key(Name, vsn),
  {Name, Version}.

term(Path, Term) -> ok = file:write_file(filename:join(Path), io_lib:format("~p.~n", [Term])).

%% measure runs in the booted system and ends it. A change that fails makes release_handler start the system anew, which
%% comes here a second time.
measure([Reps | Sizes]) ->
  os:getenv("PAUSE_BEGUN") =:= false orelse fail("release_handler gave up and restarted the node; its rows are lost"),
  os:putenv("PAUSE_BEGUN", "yes"),
  spawn(fun() ->
    {_, Run} = spawn_monitor(fun() -> sizes([list_to_integer(Size) || Size <- Sizes], list_to_integer(Reps)) end),
    receive
      {'DOWN', Run, _, _, normal} -> halt(0);
      {'DOWN', Run, _, _, Reason} -> fail(Reason)
    end
  end).

fail(Reason) ->
  io:format(standard_error, "otp: ~p~n", [Reason]),
  halt(1).

sizes(Sizes, Reps) ->
  {ok, "2"} = release_handler:unpack_release("pause-2"),
  lists:foreach(fun(Size) -> size(Size, Reps) end, Sizes).

size(Size, Reps) ->
  ok = gen_server:call(rows, {fill, Size}, infinity),
  Client = spawn_link(fun() -> client(Size, now_us(), 0) end),
  Samples = [sample(Size, Client) || _ <- lists:seq(1, Reps)],
  unlink(Client),
  Gone = monitor(process, Client),
  exit(Client, kill),
  receive {'DOWN', Gone, _, _, _} -> ok end,
  [Up, Down, Without] = [median([element(I, Sample) || Sample <- Samples]) || I <- [1, 2, 3]],
  io:format("| ~w | ~.2f | ~.2f | ~.2f |~n", [Size, Up, Down, Without]),
  renew().

%% renew starts the server afresh, so that no size inherits the heap of another.
renew() ->
  ok = supervisor:terminate_child(?MODULE, rows),
  {ok, _} = supervisor:restart_child(?MODULE, rows).

%% sample upgrades, downgrades, and then watches for as long as the upgrade took.
sample(Size, Client) ->
  {Up, Took} = longest(Client, fun() -> install("2") end),
  proven("2", Size),
  {Down, _} = longest(Client, fun() -> install("1") end),
  proven("1", Size),
  {Without, _} = longest(Client, fun() -> timer:sleep(Took div 1000) end),
  {Up / 1000, Down / 1000, Without / 1000}.

%% proven makes the release permanent that runs, and counts its rows.
proven(Version, Size) ->
  ok = release_handler:make_permanent(Version),
  {Version, Size, Size} = gen_server:call(rows, count, infinity).

install(Version) ->
  {ok, _, _} = release_handler:install_release(Version).

%% longest is the longest gap between two replies that touches the time in which Change ran, and this time. In us.
longest(Client, Change) ->
  timer:sleep(?SETTLED),
  _ = gap(Client),
  Begun = now_us(),
  Change(),
  Took = now_us() - Begun,
  {gap(Client), Took}.

%% client calls without a rest and keeps the longest gap until it is asked for it.
client(Size, Last, Longest) ->
  _ = gen_server:call(rows, {get, rand:uniform(Size)}, infinity),
  Now = now_us(),
  Gap = max(Longest, Now - Last),
  receive
    {gap, From} ->
      From ! {gap, Gap},
      client(Size, Now, 0)
  after 0 -> client(Size, Now, Gap)
  end.

gap(Client) ->
  Client ! {gap, self()},
  receive {gap, Gap} -> Gap end.

median(List) -> lists:nth(length(List) div 2 + 1, lists:sort(List)).

now_us() -> erlang:monotonic_time(microsecond).
