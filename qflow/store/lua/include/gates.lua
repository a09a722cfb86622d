-- What an event passes before it starts a run of a function, in the order in which engine.admit lists
-- it. A gate is {kind, key, ...}. Each returns nil to let pass, or {skip = why}, {join = the run that has
-- the event now}, or {due = when to go on (ms), gather = key}. `start` has ns, rq, fn, run, event,
-- event_id, data, ttl, keep_s, scheduled_key, and `taken`, the place of its event in time. Needs clock, timer, ending and cancel.
local GATES = {}
function GATES.rate_limit(start, gate)
  local _, key, most, per_ms, shown = unpack(gate)
  local starts_key = start.ns .. ':rate:' .. start.fn .. ':' .. key
  redis.call('ZREMRANGEBYSCORE', starts_key, '-inf', now_ms - per_ms .. '')
  if redis.call('ZCARD', starts_key) >= most then
    return {skip = 'rate limit: ' .. most .. ' runs in ' .. shown .. ' have started' .. (key == '*' and '' or ' for ' .. key)}
  end
  redis.call('ZADD', starts_key, now, start.run)
  redis.call('PEXPIRE', starts_key, per_ms .. '')
end
function GATES.throttle(start, gate)
  local _, key, most, per_ms, burst = unpack(gate)
  -- numbers that a deploy changes begin a pace of their own; respace.lua takes along who waits
  local pace = most .. '-' .. per_ms .. '-' .. burst .. ':' .. key
  local next_key, space_us = start.ns .. ':throttle:' .. start.fn .. ':' .. pace, math.ceil(per_ms * 1000 / most)
  local next_us = math.max(tonumber(redis.call('GET', next_key) or 0), now_ms * 1000)
  local due = math.ceil((next_us - (burst - 1) * space_us) / 1000)
  next_us = next_us + space_us
  redis.call('SET', next_key, string.format('%.0f', next_us), 'PX', math.ceil(next_us / 1000) - now_ms + 1000 .. '')
  if due > now_ms then return {due = due, why = 'throttled'} end
end
function GATES.singleton(start, gate)
  local _, key, mode = unpack(gate)
  local single = 'single:' .. start.fn .. ':' .. key
  local active = redis.call('ZRANGE', start.ns .. ':' .. single, 0, 0)[1]
  if active and mode == 'skip' then return {skip = 'singleton: run ' .. active .. ' has not ended'} end
  if active then
    local known = redis.call('HMGET', start.ns .. ':run:' .. active, 'lane', 'fn', 'status', 'created', 'watched')
    cancel_run(start.ns, start.rq, active, known, '', 'singleton: event ' .. start.event_id .. ' takes its place',
      start.scheduled_key, start.ttl, start.keep_s)
    end_for_others(start.ns, start.rq, active, 'cancelled', '', start.ttl, start.keep_s, start.data)
  end
  redis.call('ZADD', start.ns .. ':' .. single, now, start.run)
  start.single = single .. '\t' .. start.run .. '\n'
end
-- The run that gathers events of this key at present, and some of its fields.
local function gathering(start, key, ...)
  local run = redis.call('GET', start.ns .. ':pending:' .. start.fn .. ':' .. key)
  local known = run and redis.call('HMGET', start.ns .. ':run:' .. run, ...)
  if known and known[1] then return run, known end
end
function GATES.debounce(start, gate)
  local _, key, period_ms, timeout_ms, ts = unpack(gate)
  local run, known = gathering(start, key, 'ts', 'first', 'merged')
  if not run then return {due = now_ms + period_ms, gather = key, ts = ts, taken = start.taken, why = 'debounced'} end
  local run_key = start.ns .. ':run:' .. run
  redis.call('HSET', run_key, 'merged', (known[3] or 0) + 1)
  if ts < tonumber(known[1]) then return {join = run} end -- an older one that came late
  local due = now_ms + period_ms
  if timeout_ms > 0 then due = math.min(due, known[2] + timeout_ms) end
  start.replaced(run)
  redis.call('HSET', run_key, 'event', start.event, 'event_id', start.event_id, 'ts', ts, 'taken', start.taken,
    'due', due)
  set_timer(start.ns, start.scheduled_key, run .. '-enter-1', due)
  return {join = run}
end
function GATES.batch(start, gate)
  local _, key, size, timeout_ms, most_bytes = unpack(gate)
  local run, known = gathering(start, key, 'batched', 'bytes')
  if run and known[2] + #start.event > most_bytes then
    start.fire(run)
    run = nil
  end
  if not run then return {due = now_ms + timeout_ms, gather = key, bytes = #start.event, why = 'batched'} end
  local run_key, count = start.ns .. ':run:' .. run, known[1] + 1
  redis.call('HSET', run_key, 'batched', count, 'bytes', known[2] + #start.event, 'event:' .. count, start.event)
  if count >= size then start.fire(run) end
  return {join = run}
end
local function pass_gates(start, gates, from)
  for at = from, #gates do
    local verdict = GATES[gates[at][1]](start, gates[at])
    if verdict then
      verdict.next = at + 1
      return verdict
    end
  end
  return {}
end
