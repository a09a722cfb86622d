-- Creates a run and its entry job, unless this event, or one of the same idempotency value, started this
-- function before. `entry` is where its event stands on the stream, nil where it does not; `terms` is JSON
-- of that value, of the gates it passes and of what may end the run from outside, "" for nothing. A run of a
-- paused function is skipped or held. Needs terms, and all that admit needs, and admit. Returns whether it is new.
local JOB_STATUS = {q = 'queued', h = 'deferred', b = 'deferred', d = 'scheduled'}
local function watch(ns, rq, run, terms, since, keep_s, scheduled_key, ttl, single)
  local late = watch_run(ns, run, terms, since, single)
  if late then
    local known = redis.call('HMGET', ns .. ':run:' .. run, 'lane', 'fn', 'status', 'created', 'watched')
    cancel_run(ns, rq, run, known, '', late, scheduled_key, ttl, keep_s)
  end
end
local function make_run(ns, rq, fn, run, version, app, event_id, event, data, ttl, entry, terms, keep_s, scheduled_key,
    paused, verdict, single)
  local run_key, id = ns .. ':run:' .. run, run .. '-enter-1'
  local since = entry and place_of(entry) or now_ms
  local why = paused == 'skip' and 'its function is paused' or verdict and verdict.skip
  local flow, ahead = terms and terms.flow, terms and terms.ahead or 0
  local age = flow and string.format('%.4f', since - ahead)
  local state = 'q'
  if not why then
    if (verdict and verdict.due) or ahead < 0 then state = 'd'
    elseif paused == 'hold' then state = 'h'
    elseif flow and not take_slots(ns, run, flow, age) then state = 'b' end
  end
  local fields = {'fn', fn, 'app', app, 'status', 'queued', 'event', event,
    'event_id', event_id, 'version', version, 'created', now, 'queued', now, 'attempt', '0',
    'entry', entry or now .. '-0', 'lane', state .. '|1|0|0||'}
  local function keep(name, value)
    fields[#fields + 1], fields[#fields + 2] = name, value
  end
  redis.call('ZADD', ns .. ':runs', now, run)
  if why then
    redis.call('HSET', run_key, unpack(fields))
    return skip_run(ns, fn, run, keep_s, why)
  end
  if flow then
    keep('flow', flow)
    keep('age', age)
  end
  if ahead ~= 0 then keep('ahead', ahead) end
  open_job(rq .. ':job:' .. id, JOB_STATUS[state], ns, data, fn, '-1', ttl)
  if state == 'q' then
    place_job(ns, rq, id, ahead)
  elseif state == 'h' then
    redis.call('RPUSH', ns .. ':held:' .. fn, id)
  elseif verdict and verdict.due then
    delay_run(ns, run, fn, cjson.encode(terms.gates), verdict, scheduled_key, fields)
  elseif state == 'd' then -- behind its time: queued then, taken before where a worker has nothing else
    delay_run(ns, run, fn, '[]', {due = now_ms - ahead, next = 1, why = 'priority'}, scheduled_key, fields)
    redis.call('ZADD', ns .. ':behind', now_ms - ahead, id)
  end
  redis.call('HSET', run_key, unpack(fields))
  redis.call('ZADD', ns .. ':runs:queued', now, run)
  redis.call('ZADD', ns .. ':fn:' .. fn .. ':queued', now, run)
  if terms then watch(ns, rq, run, terms, since, keep_s, scheduled_key, ttl, single) end
end
local function create_run(ns, rq, fn, run, version, app, event_id, event, data, ttl, entry, terms, keep_s, scheduled_key)
  terms = terms and terms ~= '' and cjson.decode(terms)
  local once_key = terms and terms.once and ns .. ':once:' .. fn .. ':' .. terms.once
  local before = once_key and redis.call('GET', once_key)
  if not redis.call('SET', ns .. ':seen:' .. fn .. ':' .. event_id, before or run, 'NX', 'EX', 86400) or before then
    redis.call('HINCRBY', ns .. ':counters', 'duplicates', 1)
    return false
  end
  local since = entry and place_of(entry) or now_ms
  local paused = redis.call('HGET', ns .. ':paused', fn)
  local verdict, start
  if terms and terms.gates and paused ~= 'skip' then
    start = {ns = ns, rq = rq, fn = fn, run = run, event = event, event_id = event_id, data = data, ttl = ttl, keep_s = keep_s,
      scheduled_key = scheduled_key, taken = string.format('%.4f', since)}
    start.fire = function(other) fire_run(ns, rq, other, scheduled_key, ttl, keep_s, data) end
    start.replaced = function(other) -- the run is of this event from now on
      unwatch(ns, redis.call('HGET', ns .. ':run:' .. other, 'watched'))
      redis.call('HSET', ns .. ':run:' .. other, 'watched', '', 'version', version, 'gates', cjson.encode(terms.gates),
        'flow', terms.flow or '', 'ahead', terms.ahead or 0, 'age', since - (terms.ahead or 0))
      watch(ns, rq, other, terms, since, keep_s, scheduled_key, ttl)
    end
    verdict = pass_gates(start, terms.gates, 1)
  end
  if verdict and verdict.join then
    if once_key then redis.call('SET', once_key, verdict.join, 'EX', 86400) end
    redis.call('SET', ns .. ':seen:' .. fn .. ':' .. event_id, verdict.join, 'EX', 86400)
    return false
  end
  make_run(ns, rq, fn, run, version, app, event_id, event, data, ttl, entry, terms, keep_s, scheduled_key,
    paused, verdict, start and start.single)
  if once_key and redis.call('HGET', ns .. ':run:' .. run, 'status') ~= 'skipped' then
    redis.call('SET', once_key, run, 'EX', 86400)
  end
  return true
end
