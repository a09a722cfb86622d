-- Drops all that a run holds, whatever its lane's state: a queued job, a timer, a place with a worker,
-- and where it is `watched` from. Its job ends as `status`, in RQ's `registry` where one is given. A long
-- queue is not searched: what stays in it is dropped when it is claimed. Needs clock and unwatch.
-- Returns the id of the job.
local function drop_holdings(ns, rq, run, record, watched, status, registry, scheduled_key, ttl)
  local state, token, worker, step = string.match(record, '^(%a)|(%d+)|%d+|%d+|([^|]*)|(.*)$')
  local id = run .. '-' .. (step == '' and 'enter' or string.sub(redis.sha1hex(step), 1, 10)) .. '-' .. token
  local held_key = ns .. ':held:' .. redis.call('HGET', ns .. ':run:' .. run, 'fn')
  if state == 's' then
    redis.call('ZREM', rq .. ':wip:' .. ns, id .. ':' .. worker)
    redis.call('SREM', ns .. ':lanes:' .. worker, run)
  elseif state == 'd' then
    redis.call('ZREM', scheduled_key, id)
    redis.call('HDEL', ns .. ':run:' .. run, 'due')
  elseif state == 'h' and redis.call('LLEN', held_key) <= 1000 then
    redis.call('LREM', held_key, 1, id)
  elseif state == 'q' and redis.call('LLEN', rq .. ':queue:' .. ns) <= 1000 then
    redis.call('LREM', rq .. ':queue:' .. ns, 1, id)
  end
  if redis.call('EXISTS', rq .. ':job:' .. id) == 1 then
    redis.call('HSET', rq .. ':job:' .. id, 'status', status, 'ended_at', stamp)
    redis.call('EXPIRE', rq .. ':job:' .. id, ttl)
  end
  if registry ~= '' then redis.call('ZADD', registry, seconds + ttl, id) end
  unwatch(ns, watched)
  return id
end
