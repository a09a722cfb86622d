-- Creates a run and its entry job, unless this event, or one of the same idempotency value, started this
-- function before. `terms` is JSON of that value and of what may end the run from outside, `since` the
-- place of its event in time (ms); both may be left out.
-- Needs clock, jobs and watch, and for `terms` release, index, tell and cancel. Returns whether the run is new.
local function create_run(ns, rq, fn, run, version, app, event_id, event, data, ttl, terms, since, keep_s, scheduled_key)
  terms = terms and terms ~= '' and cjson.decode(terms)
  local once_key = terms and terms.once and ns .. ':once:' .. fn .. ':' .. terms.once
  local before = once_key and redis.call('GET', once_key)
  if not redis.call('SET', ns .. ':seen:' .. fn .. ':' .. event_id, before or run, 'NX', 'EX', 86400) or before then
    redis.call('HINCRBY', ns .. ':counters', 'duplicates', 1)
    return false
  end
  if once_key then redis.call('SET', once_key, run, 'EX', 86400) end
  local id = run .. '-enter-1'
  local run_key = ns .. ':run:' .. run
  redis.call('HSET', run_key, 'fn', fn, 'app', app, 'status', 'queued', 'event', event,
    'event_id', event_id, 'version', version, 'created', now_ms, 'queued', now_ms, 'attempt', 0, 'lane', 'q|1|0|0||')
  open_job(rq .. ':job:' .. id, 'queued', ns, data, fn, -1, ttl)
  redis.call('RPUSH', rq .. ':queue:' .. ns, id)
  redis.call('ZADD', ns .. ':runs', now_ms, run)
  redis.call('ZADD', ns .. ':runs:queued', now_ms, run)
  redis.call('ZADD', ns .. ':fn:' .. fn .. ':queued', now_ms, run)
  if terms then
    local late = watch_run(ns, run, terms, since)
    if late then
      local known = redis.call('HMGET', run_key, 'lane', 'fn', 'status', 'created', 'watched')
      cancel_run(ns, rq, run, known, '', late, scheduled_key, ttl, keep_s)
    end
  end
  return true
end
