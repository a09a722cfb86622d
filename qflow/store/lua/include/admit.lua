-- Starts a run that waited for its time: it passes the gates that are left, and is queued, delayed again
-- or skipped. Needs clock, jobs, index, timer, place, slots, serve, ending, unwatch, holdings, cancel and gates.
local function skip_run(ns, fn, run, keep_s, reason)
  local run_key = ns .. ':run:' .. run
  redis.call('HSET', run_key, 'status', 'skipped', 'lane', 'e|1|0|0||', 'ended', now_ms, 'reason', reason)
  redis.call('XADD', run_key .. ':trace', '*', 'j', '{"t":"end","status":"skipped","why":' .. cjson.encode(reason) .. '}')
  for _, part in ipairs({'', ':steps', ':trace'}) do redis.call('EXPIRE', run_key .. part, keep_s or 604800) end
  redis.call('ZADD', ns .. ':runs:skipped', now_ms, run)
  redis.call('ZADD', ns .. ':fn:' .. fn .. ':skipped', now_ms, run)
end
-- Keeps what a run that is to start later needs for it.
local function delay_run(ns, run, fn, gates, verdict, scheduled_key)
  local run_key = ns .. ':run:' .. run
  redis.call('HSET', run_key, 'lane', 'd|1|0|0||', 'due', verdict.due, 'gates', gates, 'gate', verdict.next)
  if verdict.gather then
    redis.call('SET', ns .. ':pending:' .. fn .. ':' .. verdict.gather, run)
    redis.call('HSET', run_key, 'gather', verdict.gather)
    if verdict.ts then redis.call('HSET', run_key, 'ts', verdict.ts, 'first', now_ms, 'taken', now_ms) end
    if verdict.batch then redis.call('HSET', run_key, 'batched', 1, 'bytes', redis.call('HSTRLEN', run_key, 'event')) end
  end
  redis.call('XADD', run_key .. ':trace', '*', 'j', '{"t":"held","why":"' .. verdict.why .. '","due":'
    .. string.format('%.0f', verdict.due) .. '}')
  set_timer(ns, scheduled_key, run .. '-enter-1', verdict.due)
end
local function hold_single(ns, run, place)
  if not place then return end
  local run_key = ns .. ':run:' .. run
  redis.call('HSET', run_key, 'watched', (redis.call('HGET', run_key, 'watched') or '') .. place)
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
  hold_single(ns, run, start.single)
  if known[7] then redis.call('ZREM', ns .. ':behind', id) end
  if verdict.due then return delay_run(ns, run, known[4], known[1], verdict, scheduled_key) end
  local queued = take_slots(ns, run, known[6], known[8])
  redis.call('HSET', run_key, 'lane', queued and 'q|1|0|0||' or 'b|1|0|0||', 'queued', now_ms)
  redis.call('HSET', rq .. ':job:' .. id, 'status', queued and 'queued' or 'deferred', 'enqueued_at', stamp)
  if queued then place_job(ns, rq, id, known[7]) end
  wake_workers(ns .. ':wake', 1)
end
