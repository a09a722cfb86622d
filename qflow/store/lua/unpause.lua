-- End a function's pause and queue what it held back, a batch at a time, in the order in which it was held.
-- Until all is queued the function counts as resuming, so that whoever comes next can go on.
-- KEYS: paused held wake
-- ARGV: ns rq fn limit
-- Builds: <ns>:run:<run>…, <rq>:job:<job> of the jobs held, <rq>:queue:<ns>, <ns>:slots:<limit>, <ns>:backlog:<group>, <ns>:ring:<limit>, <ns>:rings
-- Returns: {1 where it was paused, jobs queued, jobs left}
-- Callers: store.pause.unpause
local paused_key, held_key, wake_key = unpack(KEYS)
local ns, rq, fn, limit = unpack(ARGV)
-- include: clock
-- include: wake
-- include: place
-- include: slots
local was = redis.call('HGET', paused_key, fn)
local queued = 0
for _, id in ipairs(redis.call('LRANGE', held_key, 0, limit - 1)) do
  local run, hash, job_token = string.match(id, '^(%w+)%-(%w+)%-(%d+)$')
  local run_key = ns .. ':run:' .. run
  local open = redis.call('HGET', run_key .. ':open', hash)
  local record = open or redis.call('HGET', run_key, 'lane') or ''
  local state, token = string.match(record, '^(%a)|(%d+)|')
  if state == 'h' and token == job_token then
    local known = redis.call('HMGET', run_key, 'flow', 'age', 'ahead')
    local free = not known[1] or take_slots(ns, open and run .. ':' .. hash or run, known[1], known[2])
    record = (free and 'q' or 'b') .. string.sub(record, 2)
    if open then
      redis.call('HSET', run_key .. ':open', hash, record)
    else
      redis.call('HSET', run_key, 'lane', record, 'queued', now_ms)
    end
    redis.call('HSET', rq .. ':job:' .. id, 'status', free and 'queued' or 'deferred', 'enqueued_at', stamp)
    if free then place_job(ns, rq, id, known[3]) end
    queued = queued + 1
  end
end
redis.call('LTRIM', held_key, limit, -1)
local left = redis.call('LLEN', held_key)
if left == 0 then redis.call('HDEL', paused_key, fn) else redis.call('HSET', paused_key, fn, 'resuming') end
if queued > 0 then wake_workers(wake_key, queued) end
return {(was == 'skip' or was == 'hold') and 1 or 0, queued, left}
