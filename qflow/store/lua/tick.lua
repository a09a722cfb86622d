-- Start a cron tick's run and remember the tick as handled, if this schedule still stands where the
-- leader read it. A schedule that a deploy removed or changed fires nothing.
-- KEYS: cron leader rq_queues wake scheduled
-- ARGV: ns rq token member last handled tick fn run version app terms event_id event data ttl keep_s
-- Builds: <ns>:run:<run>, <ns>:once:<fn>:<value>, <ns>:cancel:<rule>, <ns>:deadlines, <ns>:seen:<fn>:<event>, <rq>:job:<run>-enter-1, <rq>:queue:<ns>, the indexes of the run
-- Returns: 1 started, 0 nothing to start or started before, -1 not the leader, -2 the schedule changed
-- Callers: store.timer.tick
local cron_key, leader_key, queues_key, wake_key, scheduled_key = unpack(KEYS)
local ns, rq, token, member, last, handled, tick, fn, run, version, app, terms, event_id, event, data, ttl,
  keep_s = unpack(ARGV)
if redis.call('HGET', leader_key, 'token') ~= token then return -1 end
local score = redis.call('ZSCORE', cron_key, member)
if not score or string.format('%.0f', score) ~= last then return -2 end
redis.call('ZADD', cron_key, handled, member)
if tick == '' then return 0 end
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
