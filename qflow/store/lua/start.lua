-- Fan one event out: create a run with its entry job for every matching function, and acknowledge
-- the stream entry. All or nothing; an entry that was acknowledged before starts nothing.
-- KEYS: events functions_version rq_queues wake scheduled
-- ARGV: ns rq group entry version event_id event data ttl keep_s [fn run version app terms]...
-- Builds: <ns>:run:<run>, <ns>:once:<fn>:<value>, <ns>:cancel:<rule>, <ns>:deadlines, <ns>:seen:<fn>:<event>, <rq>:job:<run>-enter-1, <rq>:queue:<ns>, the indexes of the runs
-- Returns: runs created, -1 where the functions, or the paths of waits, changed since `version`, -2 where the entry was handled before
-- Callers: store.stream.start
local events_key, version_key, queues_key, wake_key, scheduled_key = unpack(KEYS)
local ns, rq, group, entry, version, event_id, event, data, ttl, keep_s = unpack(ARGV, 1, 10)
if (redis.call('GET', version_key) or '0') ~= version then return -1 end
if redis.call('XACK', events_key, group, entry) == 0 then return -2 end
if #ARGV < 11 then return 0 end
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
local created = 0
for i = 11, #ARGV, 5 do
  if create_run(ns, rq, ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], event_id, event, data, ttl, entry,
      ARGV[i + 4], keep_s, scheduled_key) then
    created = created + 1
  end
end
if created > 0 then
  redis.call('SADD', queues_key, rq .. ':queue:' .. ns)
  wake_workers(wake_key, created)
end
return created
