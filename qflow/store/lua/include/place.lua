-- Puts a job into the queue: last, or for a run that is `ahead` of its time (ms) where it would stand had
-- it been queued that much earlier. The queue is in the order of its jobs' times, but for what was put
-- back in front. Needs clock.
local function time_of(rq, id)
  local known = redis.call('HMGET', rq .. ':job:' .. id, 'rank', 'enqueued_at')
  return known[1] or known[2] or ''
end
local function place_job(ns, rq, id, ahead)
  local queue_key = rq .. ':queue:' .. ns
  if not ahead or tonumber(ahead) <= 0 then return redis.call('RPUSH', queue_key, id) end
  local rank = stamp_of_ms(string.format('%.0f', now_ms - ahead))
  redis.call('HSET', rq .. ':job:' .. id, 'rank', rank)
  local low, high = 0, redis.call('LLEN', queue_key)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if time_of(rq, redis.call('LINDEX', queue_key, middle)) <= rank then low = middle + 1 else high = middle end
  end
  local after = redis.call('LINDEX', queue_key, low)
  if not after then return redis.call('RPUSH', queue_key, id) end
  redis.call('LINSERT', queue_key, 'BEFORE', after, id)
end
