-- Set the timer of a delayed run or open step (`hash`) again where it is gone: rq-scheduler drops an entry
-- whose job somebody deleted. An attempt whose time nobody knows any more is made now.
-- KEYS: queue scheduled job
-- ARGV: ns run hash record id data description ttl
-- Builds: <ns>:run:<run>, <ns>:run:<run>:open, <ns>:run:<run>:waits, <ns>:counters, <ns>:wake:timer
-- Returns: 1 set, 0 where the run moved on or its job is there after all
-- Callers: store.lost.retime
local queue_key, scheduled_key, job_key = unpack(KEYS)
local ns, run, hash, record, id, data, description, ttl = unpack(ARGV)
local run_key = ns .. ':run:' .. run
local current = hash == '' and redis.call('HGET', run_key, 'lane') or redis.call('HGET', run_key .. ':open', hash)
if current ~= record then return 0 end
if redis.call('ZSCORE', scheduled_key, id) or redis.call('LPOS', queue_key, id) then return 0 end
-- include: clock
-- include: jobs
-- include: timer
local due = hash == '' and tonumber(redis.call('HGET', run_key, 'due') or 0) or 0
if string.sub(record, 1, 1) == 'w' then
  local wait = cjson.decode(redis.call('HGET', run_key .. ':waits', hash))
  due = wait.due_ms > 0 and wait.due_ms or (wait.at or now_ms) + wait.delay_ms
end
open_job(job_key, 'scheduled', ns, data, description, -1, ttl)
set_timer(ns, scheduled_key, id, math.max(due, now_ms))
redis.call('HINCRBY', ns .. ':counters', 'requeued', 1)
return 1
