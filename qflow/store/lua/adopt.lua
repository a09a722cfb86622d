-- Take a job that a stock RQ worker popped: give that worker a lease and the run's lane. RQ's own
-- bookkeeping of the job is left to RQ. A delayed job is taken too: rq-scheduler's own scheduler
-- queues what is due without telling anybody.
-- KEYS: leases lanes scheduled
-- ARGV: ns worker lease_ms id
-- Builds: <ns>:run:<run>…, <ns>:slots:<limit>, <ns>:backlog:<group>, <ns>:ring:<limit>, <ns>:rings, the indexes of the run's status
-- Returns: {} where the job is not its run's current one, else {job, lane record, run hash, steps hash, now_ms, 1 for an open step}
-- Callers: store.run.adopt
local leases_key, lanes_key, scheduled_key = unpack(KEYS)
local ns, worker, lease_ms, id = unpack(ARGV)
-- include: clock
-- include: index
-- include: wake
-- include: place
-- include: slots
-- include: serve
-- include: early
-- include: hold
local run = string.sub(id, 1, 26)
local run_key = ns .. ':run:' .. run
local hash = string.match(id, '^%w+%-(%w+)%-%d+$') or ''
local known = redis.call('HMGET', run_key, 'lane', 'fn', 'status', 'created', 'queued', 'flow', 'age', 'gates')
local open = redis.call('HGET', run_key .. ':open', hash)
local state, token, counts, owner, step =
  string.match(open or known[1] or '', '^(%a)|(%d+)|(%d+|%d+)|([^|]*)|(.*)$')
local current = token and token == string.match(id, '%-(%d+)$')
  and hash == (step == '' and 'enter' or string.sub(redis.sha1hex(step), 1, 10))
local repeated = current and state == 's' and owner == worker -- only the reply was lost
if not repeated and not (current and (state == 'q' or state == 'd')) then
  redis.call('HINCRBY', ns .. ':counters', 'dropped', 1)
  return {}
end
if not repeated and is_paused(ns, known[2]) then
  redis.call('ZREM', scheduled_key, id)
  redis.call('HDEL', run_key, 'due', 'gates', 'gate')
  if open then
    hold_open(ns, 'rq', run_key, id, known[2], hash, open)
  else
    hold_run(ns, 'rq', run, id, known)
  end
  return {}
end
if not repeated and state == 'd' then
  if open and step_waits_on(ns, 'rq', run, id, hash, open, scheduled_key) then return {} end
  if not open and waits_on(ns, 'rq', run, id, known, scheduled_key) then return {} end
end
local record = 's|' .. token .. '|' .. counts .. '|' .. worker .. '|' .. step
if not repeated then
  redis.call('ZREM', scheduled_key, id)
  redis.call('ZADD', leases_key, now_ms + tonumber(lease_ms), worker)
end
if open and not repeated then
  redis.call('HSET', run_key .. ':open', hash, record)
  redis.call('SADD', lanes_key, run .. ':' .. hash)
  redis.call('EXPIRE', lanes_key, 86400)
elseif not repeated then
  redis.call('HSET', run_key, 'lane', record, 'status', 'running')
  redis.call('HSETNX', run_key, 'started', now_ms)
  redis.call('HDEL', run_key, 'due', 'gates', 'gate')
  redis.call('SADD', lanes_key, run)
  redis.call('EXPIRE', lanes_key, 86400)
  move_index(ns, known[2], run, known[3], 'running', known[4])
  redis.call('XADD', run_key .. ':trace', '*', 'j', '{"t":"claim","w":"' .. worker .. '","q":'
    .. (known[5] or now_ms) .. '}')
end
return {id, record, redis.call('HGETALL', run_key), redis.call('HGETALL', run_key .. ':steps'), now_ms, open and 1 or 0}
