-- Publish the functions of one publisher (an app in a folder): new ones and changed ones take
-- effect, those it no longer has are removed, schedules included. A function that another publisher
-- has taken over meanwhile is left to that one. What functions listen for of qflow's own events is
-- noted, so that a run's end costs one look where nobody does; so are the limits that are in force.
-- Versions are kept, the newest 50 of a function: `first|last|spec`, `last` empty while it is in force.
-- KEYS: functions functions_version functions_listened limits cron published
-- ARGV: publisher count [id spec]... [member]...
-- Builds: <functions>:versions:<id>
-- Returns: 1 where anything changed, 0 where all was published before
-- Callers: store.directory.publish
local functions_key, version_key, listened_key, limits_key, cron_key, published_key = unpack(KEYS)
local publisher, count = ARGV[1], tonumber(ARGV[2])
-- include: clock
local mine, ticks, changed = {}, {}, 0
local function keep_version(id, spec, ended)
  local version, versions_key = string.match(spec, '"version": "([^"]+)"'), functions_key .. ':versions:' .. id
  if not version then return end
  local first = string.match(redis.call('HGET', versions_key, version) or '', '^%d+') or string.format('%.0f', now_ms)
  redis.call('HSET', versions_key, version, first .. '|' .. (ended and string.format('%.0f', now_ms) or '') .. '|' .. spec)
  if redis.call('HLEN', versions_key) <= 50 then return end
  local all, oldest = redis.call('HGETALL', versions_key), nil
  for at = 1, #all, 2 do
    local began = tonumber(string.match(all[at + 1], '^%d+'))
    if all[at] ~= version and (not oldest or began < oldest[1]) then oldest = {began, all[at]} end
  end
  redis.call('HDEL', versions_key, oldest[2])
end
for i = 3, 2 + 2 * count, 2 do
  local id, spec = ARGV[i], ARGV[i + 1]
  mine[id] = true
  local before = redis.call('HGET', functions_key, id)
  if before ~= spec then
    if before then keep_version(id, before, true) end
    keep_version(id, spec)
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
    keep_version(id, spec, true)
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
  redis.call('DEL', listened_key, limits_key)
  for _, spec in ipairs(redis.call('HVALS', functions_key)) do
    for _, limit in ipairs(string.find(spec, '"concurrency"', 1, true) and cjson.decode(spec).concurrency or {}) do
      redis.call('HSET', limits_key, limit.id, limit.limit)
    end
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
