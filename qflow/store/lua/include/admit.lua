-- Starts a run that waited for its time: it passes the gates that are left, and is queued, delayed again
-- or skipped. Needs clock, jobs, index, timer, place, slots, serve, ending, unwatch, holdings, cancel and gates.
local function skip_run(ns, fn, run, keep_s, reason)
  local run_key = ns .. ':run:' .. run
  redis.call('HSET', run_key, 'status', 'skipped', 'lane', 'e|1|0|0||', 'ended', now, 'reason', reason)
  redis.call('XADD', run_key .. ':trace', '*', 'j', '{"t":"end","status":"skipped","why":' .. cjson.encode(reason) .. '}')
  for _, part in ipairs({'', ':steps', ':trace'}) do redis.call('EXPIRE', run_key .. part, keep_s or 604800) end
  redis.call('ZADD', ns .. ':runs:skipped', now, run)
  redis.call('ZADD', ns .. ':fn:' .. fn .. ':skipped', now, run)
end
-- Sets a run's timer where it is to start later; adds what it needs then to `fields` of it.
local function delay_run(ns, run, fn, gates, verdict, scheduled_key, fields)
  local function keep(name, value)
    fields[#fields + 1], fields[#fields + 2] = name, value
  end
  keep('due', verdict.due .. '')
  keep('gates', gates)
  keep('gate', verdict.next .. '')
  keep('held', verdict.why)
  if verdict.gather then
    redis.call('SET', ns .. ':pending:' .. fn .. ':' .. verdict.gather, run)
    keep('gather', verdict.gather)
  end
  if verdict.ts then
    keep('ts', verdict.ts)
    keep('first', now)
    keep('taken', verdict.taken)
  elseif verdict.bytes then
    keep('batched', '1')
    keep('bytes', verdict.bytes .. '')
  end
  set_timer(ns, scheduled_key, run .. '-enter-1', verdict.due)
end
local function fire_run(ns, rq, run, scheduled_key, ttl, keep_s, data)
  local run_key, id = ns .. ':run:' .. run, run .. '-enter-1'
  local known = redis.call('HMGET', run_key, 'gates', 'gate', 'gather', 'fn', 'event_id', 'flow', 'ahead', 'age',
    'watched', 'lane')
  redis.call('ZREM', scheduled_key, id)
  redis.call('HDEL', run_key, 'due', 'gates', 'gate', 'gather')
  if known[3] then redis.call('DEL', ns .. ':pending:' .. known[4] .. ':' .. known[3]) end
  local start = {ns = ns, rq = rq, fn = known[4], run = run, event_id = known[5], data = data, ttl = ttl, keep_s = keep_s,
    scheduled_key = scheduled_key}
  local verdict = pass_gates(start, cjson.decode(known[1]), tonumber(known[2]))
  if verdict.skip then
    drop_holdings(ns, rq, run, known[10], known[9], 'canceled', '', scheduled_key, ttl)
    redis.call('ZREM', ns .. ':runs:queued', run)
    redis.call('ZREM', ns .. ':fn:' .. known[4] .. ':queued', run)
    skip_run(ns, known[4], run, keep_s, verdict.skip)
    return end_for_others(ns, rq, run, 'skipped', verdict.skip, ttl, keep_s, data)
  end
  if start.single then redis.call('HSET', run_key, 'watched', (known[9] or '') .. start.single) end
  if known[7] then redis.call('ZREM', ns .. ':behind', id) end
  if verdict.due then
    local fields = {'lane', 'd|1|0|0||'}
    delay_run(ns, run, known[4], known[1], verdict, scheduled_key, fields)
    return redis.call('HSET', run_key, unpack(fields))
  end
  local queued = take_slots(ns, run, known[6], known[8])
  redis.call('HSET', run_key, 'lane', queued and 'q|1|0|0||' or 'b|1|0|0||', 'queued', now)
  redis.call('HSET', rq .. ':job:' .. id, 'status', queued and 'queued' or 'deferred', 'enqueued_at', stamp)
  if queued then place_job(ns, rq, id, known[7]) end
  wake_workers(ns .. ':wake', 1)
end
