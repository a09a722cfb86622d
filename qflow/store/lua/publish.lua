-- Publish the functions of one publisher (an app in a folder): new ones and changed ones take
-- effect, those it no longer has are removed, schedules included. A function that another publisher
-- has taken over meanwhile is left to that one. What functions listen for of qflow's own events is
-- noted, so that a run's end costs one look where nobody does.
-- KEYS: functions functions_version functions_listened cron published
-- ARGV: publisher count [id spec]... [member]...
-- Returns: 1 where anything changed, 0 where all was published before
-- Callers: store.directory.publish
local functions_key, version_key, listened_key, cron_key, published_key = unpack(KEYS)
local publisher, count = ARGV[1], tonumber(ARGV[2])
-- include: clock
local mine, ticks, changed = {}, {}, 0
for i = 3, 2 + 2 * count, 2 do
  local id, spec = ARGV[i], ARGV[i + 1]
  mine[id] = true
  if redis.call('HGET', functions_key, id) ~= spec then
    redis.call('HSET', functions_key, id, spec)
    changed = 1
  end
end
for i = 3 + 2 * count, #ARGV do
  ticks[ARGV[i]] = true
  redis.call('ZADD', cron_key, 'NX', now_ms, ARGV[i])
end
for _, id in ipairs(redis.call('SMEMBERS', published_key)) do
  local spec = not mine[id] and redis.call('HGET', functions_key, id)
  if spec and cjson.decode(spec).publisher == publisher then
    redis.call('HDEL', functions_key, id)
    mine[id] = true
    changed = 1
  end
end
for _, member in ipairs(redis.call('ZRANGE', cron_key, 0, -1)) do
  if mine[string.match(member, '^([^|]+)|')] and not ticks[member] then
    redis.call('ZREM', cron_key, member)
    changed = 1
  end
end
if changed == 1 then -- which ends of runs are to be told of
  redis.call('DEL', listened_key)
  for _, spec in ipairs(redis.call('HVALS', functions_key)) do
    if string.find(spec, '"qflow/function.', 1, true) then
      for _, trigger in ipairs(cjson.decode(spec).triggers) do
        local kind = string.match(trigger.event or '', '^qflow/function%.(%a+)$')
        if kind then redis.call('HSET', listened_key, kind, 1) end
      end
    end
  end
end
redis.call('DEL', published_key)
for i = 3, 2 + 2 * count, 2 do redis.call('SADD', published_key, ARGV[i]) end
if changed == 1 or redis.call('EXISTS', version_key) == 0 then redis.call('INCR', version_key) end
return changed
