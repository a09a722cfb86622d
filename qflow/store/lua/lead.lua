-- Take or keep the lead among schedulers. Each new leader gets a higher token, which every script
-- of a leader checks, so that one who lost the lead without noticing changes nothing.
-- KEYS: leader
-- ARGV: name lease_ms resign
-- Returns: {token or 0, now_ms, ms until the lead may be free}
-- Callers: store.lease.lead
local leader_key = KEYS[1]
local name, lease_ms, resign = unpack(ARGV)
-- include: clock
local held = redis.call('HMGET', leader_key, 'holder', 'until', 'token')
local free = not held[1] or tonumber(held[2]) <= now_ms
if resign == '1' then
  if held[1] == name then redis.call('HSET', leader_key, 'until', 0) end
  return {0, now_ms, 0}
end
if not free and held[1] ~= name then return {0, now_ms, tonumber(held[2]) - now_ms} end
local token = held[3]
if held[1] ~= name or free then token = redis.call('HINCRBY', leader_key, 'token', 1) end
redis.call('HSET', leader_key, 'holder', name, 'until', now_ms + tonumber(lease_ms))
return {tonumber(token), now_ms, tonumber(lease_ms)}
