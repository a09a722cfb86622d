-- Tries suspects: jobs whose worker died more than once are executed alone, one of them at a time, so that
-- only who is to blame dies a third time. The worker that meets one while it holds others takes no more
-- until it holds none, unless an idle one is first. Where it is the only worker, others have as much time
-- after a trial as the trial took. Needs clock and wake.
local TRIAL_MS, REST_MS = 60000, 600000
local function is_tried(ns, worker, member)
  local run, hash = string.match(member, '^(%w+):?(%w*)$')
  local run_key = ns .. ':run:' .. run
  local record = hash == '' and redis.call('HGET', run_key, 'lane') or redis.call('HGET', run_key .. ':open', hash)
  local deaths, owner = string.match(record or '', '^s|%d+|%d+|(%d+)|([^|]*)|')
  return owner == worker and tonumber(deaths) > 1
end
-- Whether the worker takes nothing now: it is trying a suspect, or about to. It wakes others instead.
local function is_set_aside(ns, worker, leases_key, lanes_key, queue_key, wake_key)
  local key = ns .. ':trial'
  local holder, member, since = unpack(redis.call('HMGET', key, 'worker', 'member', 'since'))
  if holder ~= worker then return false end
  if member == '' and redis.call('SCARD', lanes_key) > 0 or member ~= '' and is_tried(ns, worker, member) then
    redis.call('PEXPIRE', key, TRIAL_MS)
    if redis.call('LLEN', wake_key) == 0 then wake_workers(wake_key, redis.call('LLEN', queue_key)) end
    return true
  end
  local rest = math.min(now_ms - tonumber(since), REST_MS)
  if member ~= '' and rest > 0 and redis.call('ZCARD', leases_key) == 1 then
    redis.call('HSET', key, 'worker', '')
    redis.call('PEXPIRE', key, rest)
  else
    redis.call('DEL', key)
  end
  return false
end
-- Whether the worker may take this job; second, whether it may take others.
local function may_take(ns, worker, leases_key, lanes_key, member, counts)
  if tonumber(string.match(counts, '|(%d+)')) < 2 then return true, true end
  local key = ns .. ':trial'
  local holder, tried = unpack(redis.call('HMGET', key, 'worker', 'member'))
  local holds = redis.call('SCARD', lanes_key)
  local alive = holder == '' or holder and redis.call('ZSCORE', leases_key, holder)
  if alive and (holder == '' or tried ~= '' or holds > 0) then return false, holder ~= worker end
  redis.call('HSET', key, 'worker', worker, 'member', holds == 0 and member or '', 'since', now_ms)
  redis.call('PEXPIRE', key, TRIAL_MS)
  return holds == 0, false
end
