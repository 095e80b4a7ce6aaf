%% Runs scripted scenarios on the real OTP supervisor and prints what happened, one line each:
%% the name of the scenario, a tab, then its events, separated by ";".
%%
%%     erlc -o DIR otp_driver.erl && erl -noshell -pa DIR -run otp_driver main FILE
%%
%% FILE holds one term per scenario, see scenario.ts: {Name, Supervisor, Steps}.
-module(otp_driver).
-behaviour(supervisor).
-export([main/1, init/1, start_worker/2, start_supervisor/2, worker/3]).

%% A stretch without waits must lie within one period as OTP counts it, in whole seconds.
-define(STALLED, 900).
-define(TRIES, 15).
-define(AT_ONCE, 300).
-define(LIMIT, 90000).

main([File]) ->
    logger:set_primary_config(level, none),
    {ok, Scenarios} = file:consult(File),
    {Now, Later} = lists:split(min(?AT_ONCE, length(Scenarios)), Scenarios),
    [begin_one(Scenario) || Scenario <- Now],
    collect(length(Now), Later),
    halt(0).

begin_one(Scenario) ->
    Self = self(),
    spawn(fun() -> Self ! {done, attempt(Scenario, ?TRIES)} end).

collect(0, []) -> ok;
collect(Running, Later) ->
    receive
        {done, Line} ->
            io:put_chars([Line, "\n"]),
            case Later of
                [Next | Rest] -> begin_one(Next), collect(Running, Rest);
                [] -> collect(Running - 1, [])
            end
    after ?LIMIT ->
        io:put_chars("a scenario hangs\n"),
        halt(1)
    end.

attempt({Name, _, _}, 0) -> [Name, "\tstalled"];
attempt({Name, Root, Steps} = Scenario, Tries) ->
    case run(Root, Steps) of
        stalled ->
            % Those that were held up together do not try again together.
            timer:sleep(rand:uniform(2000)),
            attempt(Scenario, Tries - 1);
        Events -> [Name, "\t", lists:join(";", Events)]
    end.

run({sup, RootId, _, _, _, _, _} = Root, Steps) ->
    process_flag(trap_exit, true),
    Scribe = spawn_link(fun() -> scribe([], #{}, []) end),
    put(since, now_ms()),
    put(stalled, false),
    case supervisor:start_link(?MODULE, {Scribe, Root}) of
        {ok, Pid} ->
            settle(Scribe, Pid),
            snapshot(Scribe),
            [step(Scribe, Pid, Step) || Step <- Steps],
            picture(Scribe, RootId, Pid),
            stop(Scribe, Pid);
        {error, _} ->
            flush(),
            note(Scribe, ["failed to start"])
    end,
    snapshot(Scribe),
    rest(),
    Events = ask(Scribe, events),
    unlink(Scribe),
    exit(Scribe, kill),
    flush(),
    case get(stalled) of
        true -> stalled;
        false -> Events
    end.

%% What happened, in the order in which it did: everybody waits for the answer.
scribe(Events, Starts, Pids) ->
    receive
        {From, Ref, Request} ->
            {Reply, Events1, Starts1, Pids1} =
                case Request of
                    {note, Event} -> {ok, [Event | Events], Starts, Pids};
                    {started, Id, Pid} -> {ok, [["start ", Id] | Events], Starts, [{Id, Pid} | Pids]};
                    {nth, Id} ->
                        N = maps:get(Id, Starts, 0) + 1,
                        {N, Events, Starts#{Id => N}, Pids};
                    {find, Id} -> {proplists:get_value(Id, Pids), Events, Starts, Pids};
                    pids -> {Pids, Events, Starts, Pids};
                    events -> {lists:reverse(Events), Events, Starts, Pids}
                end,
            From ! {Ref, Reply},
            scribe(Events1, Starts1, Pids1)
    end.

ask(Scribe, Request) ->
    Ref = make_ref(),
    Scribe ! {self(), Ref, Request},
    receive {Ref, Reply} -> Reply end.

note(Scribe, Event) -> ask(Scribe, {note, Event}).

%% Supervisors

start_supervisor(Scribe, Sup) -> supervisor:start_link(?MODULE, {Scribe, Sup}).

init({Scribe, {sup, Id, Strategy, Intensity, Period, Auto, Children}}) ->
    ask(Scribe, {started, Id, self()}),
    Flags = #{strategy => Strategy, intensity => Intensity, period => Period, auto_shutdown => Auto},
    {ok, {Flags, [spec(Scribe, Child) || Child <- Children]}}.

spec(Scribe, {worker, Id, Restart, Shutdown, Significant, _, _} = Worker) ->
    #{id => Id, start => {?MODULE, start_worker, [Scribe, Worker]}, restart => Restart,
      shutdown => Shutdown, significant => Significant, type => worker};
spec(Scribe, {super, Restart, Significant, {sup, Id, _, _, _, _, _} = Sup}) ->
    #{id => Id, start => {?MODULE, start_supervisor, [Scribe, Sup]}, restart => Restart,
      significant => Significant, type => supervisor}.

%% Workers

start_worker(Scribe, {worker, Id, _, _, _, Starts, Stubborn}) ->
    N = ask(Scribe, {nth, Id}),
    case lists:nth(min(N, length(Starts)), Starts) of
        ok -> proc_lib:start_link(?MODULE, worker, [Scribe, Id, Stubborn]);
        ignore -> note(Scribe, ["ignore ", Id]), ignore;
        error -> note(Scribe, ["fail ", Id]), {error, refused}
    end.

worker(Scribe, Id, Stubborn) ->
    process_flag(trap_exit, true),
    ask(Scribe, {started, Id, self()}),
    proc_lib:init_ack({ok, self()}),
    worker_loop(Scribe, Id, Stubborn).

worker_loop(Scribe, Id, Stubborn) ->
    receive
        {'EXIT', _, _} when Stubborn -> worker_loop(Scribe, Id, Stubborn);
        {'EXIT', _, Reason} -> leave(Scribe, Id, Reason);
        {leave, Reason} -> leave(Scribe, Id, Reason)
    end.

leave(Scribe, Id, Reason) ->
    note(Scribe, ["stop ", Id, " ", atom_to_list(Reason)]),
    exit(Reason).

%% Steps

step(Scribe, Root, {wait, Ms}) ->
    note(Scribe, ["> wait"]),
    rest(),
    timer:sleep(Ms),
    put(since, now_ms()),
    settle(Scribe, Root);
step(Scribe, Root, {kill, Id}) ->
    note(Scribe, ["> kill ", Id]),
    with_process(Scribe, Id, fun(Pid) ->
        note(Scribe, ["stop ", Id, " killed"]),
        exit(Pid, kill)
    end),
    done(Scribe, Root);
step(Scribe, Root, {leave, Id, Reason}) ->
    note(Scribe, ["> leave ", Id, " ", atom_to_list(Reason)]),
    with_process(Scribe, Id, fun(Pid) -> Pid ! {leave, Reason} end),
    done(Scribe, Root);
step(Scribe, Root, {terminate, Sup, Id}) ->
    operate(Scribe, Root, Sup, ["terminate ", Id], fun(Pid) -> supervisor:terminate_child(Pid, Id) end);
step(Scribe, Root, {restart, Sup, Id}) ->
    operate(Scribe, Root, Sup, ["restart ", Id], fun(Pid) -> supervisor:restart_child(Pid, Id) end);
step(Scribe, Root, {delete, Sup, Id}) ->
    operate(Scribe, Root, Sup, ["delete ", Id], fun(Pid) -> supervisor:delete_child(Pid, Id) end);
step(Scribe, Root, {start, Sup, {worker, Id, _, _, _, _, _} = Worker}) ->
    Spec = spec(Scribe, Worker),
    operate(Scribe, Root, Sup, ["start ", Id], fun(Pid) -> supervisor:start_child(Pid, Spec) end).

with_process(Scribe, Id, Fun) ->
    Pid = ask(Scribe, {find, Id}),
    case is_pid(Pid) andalso is_process_alive(Pid) of
        true ->
            Monitor = monitor(process, Pid),
            Fun(Pid),
            receive {'DOWN', Monitor, process, Pid, _} -> ok end;
        false -> note(Scribe, ["nobody"])
    end.

operate(Scribe, Root, Sup, What, Fun) ->
    note(Scribe, ["> ", What]),
    Pid = ask(Scribe, {find, Sup}),
    Result =
        try Fun(Pid) of
            ok -> "ok";
            {ok, _} -> "ok";
            {error, {already_started, _}} -> "AlreadyStarted";
            {error, already_present} -> "AlreadyPresent";
            {error, running} -> "Running";
            {error, restarting} -> "Restarting";
            {error, not_found} -> "NotFound";
            {error, _} -> "StartFailed"
        catch
            exit:_ -> "Ended"
        end,
    note(Scribe, ["= ", Result]),
    done(Scribe, Root).

done(Scribe, Root) ->
    settle(Scribe, Root),
    snapshot(Scribe).

%% Barrier: nobody is about to be restarted, and nobody who has ended is still listed.

settle(Scribe, Root) ->
    receive
        {'EXIT', Root, Reason} ->
            put({ended, Root}, true),
            note(Scribe, ["end ", class(Reason)])
    after 0 ->
        Before = length(ask(Scribe, events)),
        case calm(Root) andalso calm(Root) andalso length(ask(Scribe, events)) =:= Before of
            true -> ok;
            false ->
                case is_process_alive(Root) of
                    true -> timer:sleep(1), settle(Scribe, Root);
                    false -> gone(Scribe, Root)
                end
        end
    end.

%% It has ended; its exit is on the way, or was noted before.
gone(Scribe, Root) ->
    case get({ended, Root}) of
        true -> ok;
        _ ->
            receive {'EXIT', Root, Reason} -> note(Scribe, ["end ", class(Reason)]) after 100 -> ok end,
            put({ended, Root}, true),
            ok
    end.

class(shutdown) -> "shutdown";
class(_) -> "other".

calm(Root) ->
    try
        lists:all(
            fun
                ({_, undefined, _, _}) -> true;
                ({_, restarting, _, _}) -> false;
                ({_, Pid, worker, _}) -> is_process_alive(Pid);
                ({_, Pid, supervisor, _}) -> is_process_alive(Pid) andalso calm(Pid)
            end,
            supervisor:which_children(Root))
    catch
        exit:_ -> false
    end.

snapshot(Scribe) ->
    Alive = lists:usort([Id || {Id, Pid} <- ask(Scribe, pids), is_process_alive(Pid)]),
    note(Scribe, ["alive", [[" ", Id] || Id <- Alive]]).

%% The list of children and the counts of every supervisor.
picture(Scribe, Id, Pid) ->
    try {supervisor:which_children(Pid), supervisor:count_children(Pid)} of
        {Children, Counts} ->
            Line = [[" ", ChildId, "=", case Child of undefined -> "stopped"; _ -> "running" end]
                    || {ChildId, Child, _, _} <- lists:reverse(Children)],
            Numbers = [[" ", integer_to_list(proplists:get_value(Key, Counts))]
                       || Key <- [specs, active, supervisors, workers]],
            note(Scribe, ["children of ", Id, ":", Line, " |", Numbers]),
            [picture(Scribe, ChildId, Child)
             || {ChildId, Child, supervisor, _} <- lists:reverse(Children), is_pid(Child)]
    catch
        exit:_ -> ok
    end.

stop(Scribe, Root) ->
    note(Scribe, ["> stop"]),
    case is_process_alive(Root) of
        true ->
            exit(Root, shutdown),
            receive {'EXIT', Root, Reason} -> note(Scribe, ["end ", class(Reason)]) end;
        false -> ok
    end.

%% A stretch without waits is over.
rest() ->
    case now_ms() - get(since) > ?STALLED of
        true -> put(stalled, true);
        false -> ok
    end.

flush() ->
    receive _ -> flush() after 0 -> ok end.

now_ms() -> erlang:monotonic_time(millisecond).
