-- Start a run of one published function directly, without an event on the stream.
-- KEYS: functions rq_queues wake scheduled
-- ARGV: ns rq fn run version app terms event_id event data ttl keep_s
-- Builds: <ns>:run:<run>, <ns>:once:<fn>:<value>, <ns>:cancel:<rule>, <ns>:deadlines, <ns>:seen:<fn>:<event>, <rq>:job:<run>-enter-1, <rq>:queue:<ns>, the indexes of the run
-- Returns: 1 started, 0 this event id started the function before, -1 the function is not published
-- Callers: store.invoke.invoke
local functions_key, queues_key, wake_key, scheduled_key = unpack(KEYS)
local ns, rq, fn, run, version, app, terms, event_id, event, data, ttl, keep_s = unpack(ARGV)
if redis.call('HEXISTS', functions_key, fn) == 0 then return -1 end
-- include: clock
-- include: jobs
-- include: index
-- include: unwatch
-- include: holdings
-- include: tell
-- include: cancel
-- include: terms
-- include: create
-- include: wake
if not create_run(ns, rq, fn, run, version, app, event_id, event, data, ttl, nil, terms, keep_s, scheduled_key) then
  return 0
end
redis.call('SADD', queues_key, rq .. ':queue:' .. ns)
wake_workers(wake_key, 1)
return 1
