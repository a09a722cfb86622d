-- Take or keep an action on many runs in hand; whoever takes it anew gets a higher token, so that one who
-- lost it without noticing changes nothing.
-- KEYS: bulk
-- ARGV: holder lease_ms
-- Returns: {token or 0, ms until it may be free}; {-1, 0} it is not running
-- Callers: store.bulk.take
local bulk_key = KEYS[1]
local holder, lease_ms = unpack(ARGV)
-- include: clock
local held = redis.call('HMGET', bulk_key, 'state', 'holder', 'until', 'token')
if held[1] ~= 'running' then return {-1, 0} end
local free = (tonumber(held[3]) or 0) <= now_ms
if not free and held[2] ~= holder then return {0, tonumber(held[3]) - now_ms} end
local token = held[4]
if free or not token then token = redis.call('HINCRBY', bulk_key, 'token', 1) end
redis.call('HSET', bulk_key, 'holder', holder, 'until', now_ms + tonumber(lease_ms))
return {tonumber(token), 0}
