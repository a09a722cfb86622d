-- Take jobs from the queue for the free places of a worker, each with its run's state and finished steps.
-- A job id that no longer is its run's current job (a duplicate, a leftover) is dropped and counted.
-- A job whose worker died is a suspect until it ends: a worker takes one of them at a time, so that
-- those who died together with a job that kills its worker are not with it every time. A job of a paused
-- function is put aside.
-- KEYS: queue wake leases lanes wip scheduled
-- ARGV: ns rq worker wip_ttl [place]...
-- Builds: <ns>:run:<run>…, <rq>:job:<id> of the ids taken, <ns>:paused, <ns>:held:<fn>, <ns>:behind, <ns>:slots:<limit>, <ns>:backlog:<group>, <ns>:ring:<limit>, <ns>:rings, the indexes of the runs' status
-- Returns: -1 where the worker has no lease, else a list of {job, lane record, run hash, steps hash}
-- Callers: store.run.claim
local queue_key, wake_key, leases_key, lanes_key, wip_key, scheduled_key = unpack(KEYS)
local ns, rq, worker, wip_ttl = unpack(ARGV, 1, 4)
local count = #ARGV - 4
if not redis.call('ZSCORE', leases_key, worker) then return -1 end
local function next_job() -- jobs behind their time come last
  return redis.call('LPOP', queue_key) or redis.call('ZPOPMIN', ns .. ':behind')[1]
end
local first = next_job()
if not first then return {} end
-- include: clock
-- include: index
-- include: wake
-- include: place
-- include: slots
-- include: serve
-- include: hold
local skipped, held = {}, 0
local pausing = redis.call('EXISTS', ns .. ':paused') == 1
local function holds_suspect()
  for _, run in ipairs(redis.call('SMEMBERS', lanes_key)) do
    local lane = redis.call('HGET', ns .. ':run:' .. run, 'lane') or ''
    if tonumber(string.match(lane, '^s|%d+|%d+|(%d+)') or 0) > 1 then return true end
  end
  return false
end
-- A delayed job comes here from rq-scheduler's own scheduler, or behind its time. Returns whether it has to
-- wait on: for its slots, or for the scheduler to ask the gates that are left.
local function waits_on(run, run_key, id, known)
  redis.call('ZREM', scheduled_key, id)
  if known[8] and known[8] ~= '[]' then
    redis.call('ZADD', scheduled_key, seconds, id)
    return true
  end
  redis.call('HDEL', run_key, 'due', 'gates', 'gate')
  if not known[6] or take_slots(ns, run, known[6], known[7]) then return false end
  redis.call('HSET', run_key, 'lane', 'b' .. string.sub(known[1], 2), 'status', 'queued', 'queued', now_ms)
  redis.call('HSET', rq .. ':job:' .. id, 'status', 'deferred')
  move_index(ns, known[2], run, known[3], 'queued', known[4])
  return true
end
local function take(id)
  local run = string.sub(id, 1, 26)
  local run_key = ns .. ':run:' .. run
  local known = redis.call('HMGET', run_key, 'lane', 'fn', 'status', 'created', 'queued', 'flow', 'age', 'gates')
  local state, token, counts, step = string.match(known[1] or '', '^(%a)|(%d+)|(%d+|%d+)|[^|]*|(.*)$')
  local current = token and token == string.match(id, '%-(%d+)$')
  if not current or (state ~= 'q' and state ~= 'd') then
    redis.call('HINCRBY', ns .. ':counters', 'dropped', 1)
    local job = rq .. ':job:' .. id
    if not current and redis.call('HGET', job, 'status') == 'queued' then -- requeued by hand
      redis.call('HSET', job, 'status', 'canceled')
      if redis.call('TTL', job) == -1 then redis.call('EXPIRE', job, wip_ttl) end
    end
    return nil
  end
  if pausing and is_paused(ns, known[2]) then
    held = held + 1
    if state == 'd' then
      redis.call('ZREM', scheduled_key, id)
      redis.call('HDEL', run_key, 'due', 'gates', 'gate')
    end
    return hold_run(ns, rq, run, id, known)
  end
  if tonumber(string.match(counts, '|(%d+)')) > 1 and holds_suspect() then
    skipped[#skipped + 1] = id
    return nil
  end
  if state == 'd' and waits_on(run, run_key, id, known) then return nil end
  local record = 's|' .. token .. '|' .. counts .. '|' .. worker .. '|' .. step
  redis.call('HSET', run_key, 'lane', record, 'status', 'running')
  redis.call('HSETNX', run_key, 'started', now_ms)
  redis.call('SADD', lanes_key, run)
  redis.call('HSET', rq .. ':job:' .. id, 'status', 'started', 'started_at', stamp,
    'last_heartbeat', stamp, 'worker_name', worker)
  redis.call('ZADD', wip_key, seconds + wip_ttl, id .. ':' .. worker)
  move_index(ns, known[2], run, known[3], 'running', known[4])
  redis.call('XADD', run_key .. ':trace', '*', 'j', '{"t":"claim","w":"' .. worker .. '","q":'
    .. (known[5] or now_ms) .. '}')
  return {id, record, redis.call('HGETALL', run_key), redis.call('HGETALL', run_key .. ':steps')}
end
local taken = {}
local id = first
while id do
  local job = take(id)
  if job then taken[#taken + 1] = job end
  if #taken >= count or #skipped >= 32 or held >= 500 then break end
  id = next_job()
end
local left = redis.call('LLEN', queue_key)
-- many suspects go to the tail, where they hold nobody up
if #skipped >= 32 then
  redis.call('RPUSH', queue_key, unpack(skipped))
else
  for i = #skipped, 1, -1 do redis.call('LPUSH', queue_key, skipped[i]) end
end
if left > 0 and redis.call('LLEN', wake_key) == 0 then wake_workers(wake_key, left) end
return taken
