-- Take jobs from the queue for the free places of a worker, each with its run's state and finished steps.
-- A job id that no longer is its run's current job (a duplicate, a leftover) is dropped and counted.
-- A job whose worker died twice is tried alone (include/suspect). A job of a paused function is put
-- aside. Of a run that has had open steps no finished ones are returned: a worker may know them already.
-- KEYS: queue wake leases lanes wip scheduled
-- ARGV: ns rq worker wip_ttl [place]...
-- Builds: <ns>:run:<run>…, <rq>:job:<id> of the ids taken, <ns>:trial, <ns>:paused, <ns>:held:<fn>, <ns>:behind, <ns>:slots:<limit>, <ns>:backlog:<group>, <ns>:ring:<limit>, <ns>:rings, the indexes of the runs' status
-- Returns: -1 where the worker has no lease, -2 where it takes no more for now, else a list of {job, lane record, run hash, steps hash}, for an open step {job, its record, some of the run hash, {}, 1}
-- Callers: store.run.claim
local queue_key, wake_key, leases_key, lanes_key, wip_key, scheduled_key = unpack(KEYS)
local ns, rq, worker, wip_ttl = unpack(ARGV, 1, 4)
local count = #ARGV - 4
if not redis.call('ZSCORE', leases_key, worker) then return -1 end
-- include: clock
-- include: wake
-- include: suspect
if is_set_aside(ns, worker, leases_key, lanes_key, queue_key, wake_key) then return -2 end
local function next_job() -- jobs behind their time come last
  return redis.call('LPOP', queue_key) or redis.call('ZPOPMIN', ns .. ':behind')[1]
end
local first = next_job()
if not first then return {} end
-- include: index
-- include: place
-- include: slots
-- include: serve
-- include: early
-- include: hold
local skipped, held, goes_on = {}, 0, true
local pausing = redis.call('EXISTS', ns .. ':paused') == 1
local function drop(id, current)
  local job = rq .. ':job:' .. id
  redis.call('HINCRBY', ns .. ':counters', 'dropped', 1)
  if not current and redis.call('HGET', job, 'status') == 'queued' then -- requeued by hand
    redis.call('HSET', job, 'status', 'canceled')
    if redis.call('TTL', job) == -1 then redis.call('EXPIRE', job, wip_ttl) end
  end
end
local function start_job(id)
  redis.call('HSET', rq .. ':job:' .. id, 'status', 'started', 'started_at', stamp,
    'last_heartbeat', stamp, 'worker_name', worker)
  redis.call('ZADD', wip_key, seconds + wip_ttl, id .. ':' .. worker)
end
local function skips(id, member, counts)
  local takes
  takes, goes_on = may_take(ns, worker, leases_key, lanes_key, member, counts)
  if not takes then skipped[#skipped + 1] = id end
  return not takes
end
local function take_open(id, run_key, fn, record, hash)
  local state, token, counts, step = string.match(record, '^(%a)|(%d+)|(%d+|%d+)|[^|]*|(.*)$')
  if token ~= string.match(id, '%-(%d+)$') or (state ~= 'q' and state ~= 'd') then return drop(id, false) end
  if pausing and is_paused(ns, fn) then
    held = held + 1
    return hold_open(ns, rq, run_key, id, fn, hash, record)
  end
  if skips(id, string.sub(id, 1, 26) .. ':' .. hash, counts) then return nil end
  if state == 'd' and step_waits_on(ns, rq, string.sub(id, 1, 26), id, hash, record, scheduled_key) then return nil end
  record = 's|' .. token .. '|' .. counts .. '|' .. worker .. '|' .. step
  redis.call('HSET', run_key .. ':open', hash, record)
  redis.call('SADD', lanes_key, string.sub(id, 1, 26) .. ':' .. hash)
  start_job(id)
  local reply = {}
  for _, field in ipairs({'fn', 'app', 'version', 'created', 'started', 'attempt', 'forked'}) do
    local value = redis.call('HGET', run_key, field)
    if value then reply[#reply + 1] = field; reply[#reply + 1] = value end
  end
  return {id, record, reply, {}, 1}
end
local function take(id)
  local run = string.sub(id, 1, 26)
  local run_key = ns .. ':run:' .. run
  local known = redis.call('HMGET', run_key, 'lane', 'fn', 'status', 'created', 'queued', 'flow', 'age', 'gates', 'forked')
  local forked = known[9] == '1'
  local state, token, counts, step = string.match(known[1] or '', '^(%a)|(%d+)|(%d+|%d+)|[^|]*|(.*)$')
  local current = token and token == string.match(id, '%-(%d+)$')
  if forked then
    local hash = string.match(id, '^%w+%-(%w+)%-%d+$') or ''
    local record = redis.call('HGET', run_key .. ':open', hash)
    if record then return take_open(id, run_key, known[2], record, hash) end
    current = current and hash == (step == '' and 'enter' or string.sub(redis.sha1hex(step), 1, 10))
  end
  if not current or (state ~= 'q' and state ~= 'd') then return drop(id, current) end
  if pausing and is_paused(ns, known[2]) then
    held = held + 1
    if state == 'd' then
      redis.call('ZREM', scheduled_key, id)
      redis.call('HDEL', run_key, 'due', 'gates', 'gate')
    end
    return hold_run(ns, rq, run, id, known)
  end
  if skips(id, run, counts) then return nil end
  if state == 'd' and waits_on(ns, rq, run, id, known, scheduled_key) then return nil end
  local record = 's|' .. token .. '|' .. counts .. '|' .. worker .. '|' .. step
  redis.call('HSET', run_key, 'lane', record, 'status', 'running')
  redis.call('HSETNX', run_key, 'started', now_ms)
  redis.call('SADD', lanes_key, run)
  start_job(id)
  move_index(ns, known[2], run, known[3], 'running', known[4])
  redis.call('XADD', run_key .. ':trace', '*', 'j', '{"t":"claim","w":"' .. worker .. '","q":'
    .. (known[5] or now_ms) .. '}')
  return {id, record, redis.call('HGETALL', run_key), forked and {} or redis.call('HGETALL', run_key .. ':steps')}
end
local taken = {}
local id = first
while id do
  local job = take(id)
  if job then taken[#taken + 1] = job end
  if not goes_on or #taken >= count or #skipped >= 32 or held >= 500 then break end
  id = next_job()
end
local left = redis.call('LLEN', queue_key)
if #skipped >= 32 then -- to the tail, where they hold nobody up
  redis.call('RPUSH', queue_key, unpack(skipped))
else
  for i = #skipped, 1, -1 do redis.call('LPUSH', queue_key, skipped[i]) end
end
if left > 0 and redis.call('LLEN', wake_key) == 0 then wake_workers(wake_key, left) end
return taken
