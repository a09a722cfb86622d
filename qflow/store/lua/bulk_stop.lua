-- Stop an action on many runs: those that are left stay as they are.
-- KEYS: bulk bulks_open
-- ARGV: id
-- Returns: 1 stopped, now or before, 0 it had ended or is unknown
-- Callers: store.bulk.stop
local bulk_key, open_key = unpack(KEYS)
local id = ARGV[1]
-- include: clock
local state = redis.call('HGET', bulk_key, 'state')
if state == 'stopped' then return 1 end
if state ~= 'running' then return 0 end
redis.call('HSET', bulk_key, 'state', 'stopped', 'ended', now_ms)
redis.call('SREM', open_key, id)
return 1
