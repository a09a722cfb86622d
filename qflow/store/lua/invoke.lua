-- Start a run of one published function directly, without an event on the stream.
-- KEYS: functions rq_queues wake
-- ARGV: ns rq run fn version app event_id event data ttl
-- Builds: <ns>:run:<run>, <ns>:seen:<fn>:<event>, <rq>:job:<run>-enter-1, <rq>:queue:<ns>, the indexes of the run
-- Returns: 1 started, 0 this event id started the function before, -1 the function is not published
-- Callers: store.invoke.invoke
local functions_key, queues_key, wake_key = unpack(KEYS)
local ns, rq, run, fn, version, app, event_id, event, data, ttl = unpack(ARGV)
if redis.call('HEXISTS', functions_key, fn) == 0 then return -1 end
-- include: clock
-- include: jobs
-- include: create
-- include: wake
if not create_run(ns, rq, fn, run, version, app, event_id, event, data, ttl) then return 0 end
redis.call('SADD', queues_key, rq .. ':queue:' .. ns)
wake_workers(wake_key, 1)
return 1
