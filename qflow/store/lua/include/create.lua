-- Creates a run and its entry job, unless this event started this function before.
-- `entry` is where its event stands on the stream, nil where it does not. Needs clock and jobs. Returns
-- whether the run is new.
local function create_run(ns, rq, fn, run, version, app, event_id, event, data, ttl, entry)
  if not redis.call('SET', ns .. ':seen:' .. fn .. ':' .. event_id, run, 'NX', 'EX', 86400) then
    redis.call('HINCRBY', ns .. ':counters', 'duplicates', 1)
    return false
  end
  local id = run .. '-enter-1'
  redis.call('HSET', ns .. ':run:' .. run, 'fn', fn, 'app', app, 'status', 'queued', 'event', event,
    'event_id', event_id, 'version', version, 'created', now_ms, 'queued', now_ms, 'attempt', 0, 'lane', 'q|1|0|0||',
    'entry', entry or string.format('%.0f-0', now_ms))
  open_job(rq .. ':job:' .. id, 'queued', ns, data, fn, -1, ttl)
  redis.call('RPUSH', rq .. ':queue:' .. ns, id)
  redis.call('ZADD', ns .. ':runs', now_ms, run)
  redis.call('ZADD', ns .. ':runs:queued', now_ms, run)
  redis.call('ZADD', ns .. ':fn:' .. fn .. ':queued', now_ms, run)
  return true
end
