-- Creates a run and its entry job, unless this event started this function before. `terms` is JSON of
-- what may end the run from outside, `since` the place of its event in time (ms); both may be left out.
-- Needs clock, jobs and watch, and for `terms` release, index, tell and cancel. Returns whether the run is new.
local function create_run(ns, rq, fn, run, version, app, event_id, event, data, ttl, terms, since, keep_s, scheduled_key)
  if not redis.call('SET', ns .. ':seen:' .. fn .. ':' .. event_id, run, 'NX', 'EX', 86400) then
    redis.call('HINCRBY', ns .. ':counters', 'duplicates', 1)
    return false
  end
  local id = run .. '-enter-1'
  local run_key = ns .. ':run:' .. run
  redis.call('HSET', run_key, 'fn', fn, 'app', app, 'status', 'queued', 'event', event,
    'event_id', event_id, 'version', version, 'created', now_ms, 'queued', now_ms, 'attempt', 0, 'lane', 'q|1|0|0||')
  open_job(rq .. ':job:' .. id, 'queued', ns, data, fn, -1, ttl)
  redis.call('RPUSH', rq .. ':queue:' .. ns, id)
  redis.call('ZADD', ns .. ':runs', now_ms, run)
  redis.call('ZADD', ns .. ':runs:queued', now_ms, run)
  redis.call('ZADD', ns .. ':fn:' .. fn .. ':queued', now_ms, run)
  if terms and terms ~= '' then
    local late = watch_run(ns, run, cjson.decode(terms), since)
    if late then
      local known = redis.call('HMGET', run_key, 'lane', 'fn', 'status', 'created', 'watched')
      cancel_run(ns, rq, run, known, '', late, scheduled_key, ttl, keep_s)
    end
  end
  return true
end
