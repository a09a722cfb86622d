-- Note what became of the next runs of an action on many, keep it in hand, and end it after the last.
-- KEYS: bulk bulk_left bulk_faults bulks_open
-- ARGV: id token lease_ms expires_s first count done skipped [fault]...
-- Returns: 1 noted, now or by this very call before, 0 another holds it or it was stopped
-- Callers: store.bulk.step
local bulk_key, left_key, faults_key, open_key = unpack(KEYS)
local id, token, lease_ms, expires_s, first, count, done, skipped = unpack(ARGV, 1, 8)
-- include: clock
local held = redis.call('HMGET', bulk_key, 'state', 'token')
if held[2] ~= token then return 0 end
if redis.call('LINDEX', left_key, 0) ~= first then return held[1] == 'stopped' and 0 or 1 end
if held[1] ~= 'running' then return 0 end
redis.call('LTRIM', left_key, count, -1)
redis.call('HINCRBY', bulk_key, 'done', done)
redis.call('HINCRBY', bulk_key, 'skipped', skipped)
redis.call('HINCRBY', bulk_key, 'failed', #ARGV - 8)
redis.call('HSET', bulk_key, 'until', now_ms + tonumber(lease_ms))
if #ARGV > 8 then
  for i = 9, #ARGV do redis.call('RPUSH', faults_key, ARGV[i]) end
  redis.call('LTRIM', faults_key, -100, -1)
  redis.call('EXPIRE', faults_key, expires_s)
end
if redis.call('EXISTS', left_key) == 0 then
  redis.call('HSET', bulk_key, 'state', 'done', 'ended', now_ms)
  redis.call('SREM', open_key, id)
end
return 1
