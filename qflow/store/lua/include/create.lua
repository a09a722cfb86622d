-- Creates a run and its entry job, unless this event, or one of the same idempotency value, started this
-- function before. `entry` is where its event stands on the stream, nil where it does not; `terms` is JSON
-- of that value and of what may end the run from outside, "" for nothing. A run of a paused function is
-- skipped or held. Needs clock, jobs, terms, holdings, index, tell and cancel. Returns whether the run is new.
local function skip_run(ns, fn, run, keep_s)
  local run_key = ns .. ':run:' .. run
  local reason = 'its function is paused'
  redis.call('HSET', run_key, 'status', 'skipped', 'lane', 'e|1|0|0||', 'ended', now_ms, 'reason', reason)
  redis.call('XADD', run_key .. ':trace', '*', 'j', '{"t":"end","status":"skipped","why":"' .. reason .. '"}')
  for _, part in ipairs({'', ':steps', ':trace'}) do redis.call('EXPIRE', run_key .. part, keep_s) end
  redis.call('ZADD', ns .. ':runs:skipped', now_ms, run)
  redis.call('ZADD', ns .. ':fn:' .. fn .. ':skipped', now_ms, run)
end
local function make_run(ns, rq, fn, run, version, app, event_id, event, data, ttl, entry, terms, keep_s, scheduled_key)
  local run_key, id = ns .. ':run:' .. run, run .. '-enter-1'
  local paused = redis.call('HGET', ns .. ':paused', fn)
  redis.call('ZADD', ns .. ':runs', now_ms, run)
  redis.call('HSET', run_key, 'fn', fn, 'app', app, 'status', 'queued', 'event', event,
    'event_id', event_id, 'version', version, 'created', now_ms, 'queued', now_ms, 'attempt', 0,
    'entry', entry or string.format('%.0f-0', now_ms), 'lane', (paused == 'hold' and 'h' or 'q') .. '|1|0|0||')
  if paused == 'skip' then return skip_run(ns, fn, run, keep_s) end
  open_job(rq .. ':job:' .. id, paused == 'hold' and 'deferred' or 'queued', ns, data, fn, -1, ttl)
  redis.call('RPUSH', paused == 'hold' and ns .. ':held:' .. fn or rq .. ':queue:' .. ns, id)
  redis.call('ZADD', ns .. ':runs:queued', now_ms, run)
  redis.call('ZADD', ns .. ':fn:' .. fn .. ':queued', now_ms, run)
  if terms then
    local late = watch_run(ns, run, terms, entry and place_of(entry) or now_ms)
    if late then
      local known = redis.call('HMGET', run_key, 'lane', 'fn', 'status', 'created', 'watched')
      cancel_run(ns, rq, run, known, '', late, scheduled_key, ttl, keep_s)
    end
  end
end
local function create_run(ns, rq, fn, run, version, app, event_id, event, data, ttl, entry, terms, keep_s, scheduled_key)
  terms = terms and terms ~= '' and cjson.decode(terms)
  local once_key = terms and terms.once and ns .. ':once:' .. fn .. ':' .. terms.once
  local before = once_key and redis.call('GET', once_key)
  if not redis.call('SET', ns .. ':seen:' .. fn .. ':' .. event_id, before or run, 'NX', 'EX', 86400) or before then
    redis.call('HINCRBY', ns .. ':counters', 'duplicates', 1)
    return false
  end
  make_run(ns, rq, fn, run, version, app, event_id, event, data, ttl, entry, terms, keep_s, scheduled_key)
  if once_key and redis.call('HGET', ns .. ':run:' .. run, 'status') ~= 'skipped' then
    redis.call('SET', once_key, run, 'EX', 86400)
  end
  return true
end
