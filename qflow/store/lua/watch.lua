-- Have routers index the events of a name by a path: from now on, unless they do already. They learn of it
-- as of newly published functions: no entry is acknowledged by what was known before.
-- KEYS: paths functions_version
-- ARGV: name path
-- Returns: since when they do (ms)
-- Callers: store.wait.watch
local paths_key, version_key = unpack(KEYS)
local name, path = unpack(ARGV)
-- include: clock
local known = redis.call('HGET', paths_key, name) or ''
for since, other in string.gmatch(known, '(%d+) ([^\n]*)\n') do
  if other == path then return tonumber(since) end
end
redis.call('HSET', paths_key, name, known .. string.format('%.0f', now_ms) .. ' ' .. path .. '\n')
redis.call('INCR', version_key)
return now_ms
