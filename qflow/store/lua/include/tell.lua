-- Tells of a run's end on the event stream, where a published function listens: `finished` for every
-- end, and `failed` or `cancelled`. Runs that such an event started tell nothing, so that nothing
-- goes round in circles. `how` is JSON text that follows the run's own facts. Needs clock.
local heard -- looked at once a script
local function tell_end(ns, run, fn, status, how)
  if not heard then
    local flags = redis.call('HMGET', ns .. ':functions:listened', 'finished', 'failed', 'cancelled')
    heard = {finished = flags[1], failed = flags[2], cancelled = flags[3]}
  end
  if not heard.finished and not heard[status] then return end
  local event = redis.call('HGET', ns .. ':run:' .. run, 'event')
  local cause = string.match(event, '^{"name":"qflow/function%.(%a+)"')
  if cause == 'finished' or cause == 'failed' or cause == 'cancelled' then return end
  local data = '{"run_id":"' .. run .. '","function_id":"' .. fn .. '","status":"' .. status .. '",' .. how
    .. ',"event":' .. event .. '}'
  for _, kind in ipairs({'finished', status}) do
    if heard[kind] then
      redis.call('XADD', ns .. ':events', '*', 'name', 'qflow/function.' .. kind, 'data', data,
        'id', run .. ':' .. kind, 'of', fn)
    end
  end
end
