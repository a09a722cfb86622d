-- Take a job that a stock RQ worker popped: give that worker a lease and the run's lane. RQ's own
-- bookkeeping of the job is left to RQ. A delayed job is taken too: rq-scheduler's own scheduler
-- queues what is due without telling anybody.
-- KEYS: leases lanes scheduled
-- ARGV: ns worker lease_ms id
-- Builds: <ns>:run:<run>…, <ns>:slots:<limit>, <ns>:backlog:<group>, <ns>:ring:<limit>, <ns>:rings, the indexes of the run's status
-- Returns: {} where the job is not its run's current one, else {job, lane record, run hash, steps hash, now_ms}
-- Callers: store.run.adopt
local leases_key, lanes_key, scheduled_key = unpack(KEYS)
local ns, worker, lease_ms, id = unpack(ARGV)
-- include: clock
-- include: index
-- include: wake
-- include: place
-- include: slots
-- include: serve
-- include: hold
local run = string.sub(id, 1, 26)
local run_key = ns .. ':run:' .. run
local known = redis.call('HMGET', run_key, 'lane', 'fn', 'status', 'created', 'queued', 'flow', 'age')
local state, token, counts, owner, step =
  string.match(known[1] or '', '^(%a)|(%d+)|(%d+|%d+)|([^|]*)|(.*)$')
local current = token and token == string.match(id, '%-(%d+)$')
local repeated = current and state == 's' and owner == worker -- only the reply was lost
if not repeated and not (current and (state == 'q' or state == 'd')) then
  redis.call('HINCRBY', ns .. ':counters', 'dropped', 1)
  return {}
end
if not repeated and is_paused(ns, known[2]) then
  redis.call('ZREM', scheduled_key, id)
  redis.call('HDEL', run_key, 'due', 'gates', 'gate')
  hold_run(ns, 'rq', run, id, known)
  return {}
end
if not repeated and state == 'd' and known[6] and not take_slots(ns, run, known[6], known[7]) then
  redis.call('ZREM', scheduled_key, id)
  redis.call('HSET', run_key, 'lane', 'b' .. string.sub(known[1], 2), 'status', 'queued', 'queued', now_ms)
  move_index(ns, known[2], run, known[3], 'queued', known[4])
  return {}
end
local record = 's|' .. token .. '|' .. counts .. '|' .. worker .. '|' .. step
if not repeated then
  redis.call('HSET', run_key, 'lane', record, 'status', 'running')
  redis.call('HSETNX', run_key, 'started', now_ms)
  redis.call('HDEL', run_key, 'due', 'gates', 'gate')
  redis.call('ZREM', scheduled_key, id)
  redis.call('ZADD', leases_key, now_ms + tonumber(lease_ms), worker)
  redis.call('SADD', lanes_key, run)
  redis.call('EXPIRE', lanes_key, 86400)
  move_index(ns, known[2], run, known[3], 'running', known[4])
  redis.call('XADD', run_key .. ':trace', '*', 'j', '{"t":"claim","w":"' .. worker .. '","q":'
    .. (known[5] or now_ms) .. '}')
end
return {id, record, redis.call('HGETALL', run_key), redis.call('HGETALL', run_key .. ':steps'), now_ms}
