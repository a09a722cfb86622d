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
-- The plan of a throttle: when the next run would start at an even pace. Numbers that a deploy changes begin
-- a plan of their own; respace.lua takes along who waits. Where timers were late by more than `LATE_MS`,
-- for nobody moved them, those who would start at once for that stand in line, and all others behind them.
local LATE_MS = 100
local function plan_of(start, gate)
  local _, key, most, per_ms, burst = unpack(gate)
  return start.ns .. ':throttle:' .. start.fn .. ':' .. most .. '-' .. per_ms .. '-' .. burst .. ':' .. key,
    math.ceil(per_ms * 1000 / most)
end
local function set_pace(key, next_us)
  redis.call('SET', key, string.format('%.0f', next_us), 'PX', math.ceil(next_us / 1000) - now_ms + 1000 .. '')
end
local function stand_in_line(plan_key, line, space_us)
  local turn_us = math.max(tonumber(line or 0), now_ms * 1000)
  set_pace(plan_key .. ':line', turn_us + space_us)
  local due = math.ceil(turn_us / 1000)
  return due > now_ms and {due = due, lined = true, why = 'throttled'} or nil
end
function GATES.throttle(start, gate)
  local plan_key, space_us = plan_of(start, gate)
  local known = redis.call('MGET', plan_key, plan_key .. ':line')
  local next_us = math.max(tonumber(known[1] or 0), now_ms * 1000)
  local due = math.ceil((next_us - (gate[5] - 1) * space_us) / 1000)
  set_pace(plan_key, next_us + space_us)
  if due > now_ms then return {due = due, why = 'throttled'} end
  if known[2] and tonumber(known[2]) > now_ms * 1000 then return stand_in_line(plan_key, known[2], space_us) end
end
-- The time of a throttled run has come: it was `due`, and `lined` where it stood in line for that.
local function in_turn(start, gate, due, lined)
  local plan_key, space_us = plan_of(start, gate)
  local line = redis.call('GET', plan_key .. ':line')
  local in_time = now_ms - due <= LATE_MS
  if in_time and (lined or not line or tonumber(line) <= now_ms * 1000) then return nil end
  return stand_in_line(plan_key, line, space_us)
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
