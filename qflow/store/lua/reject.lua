-- Move a malformed stream entry aside with its reason: it is acknowledged and leaves the stream.
-- KEYS: events rejected
-- ARGV: ns group entry reason [field value]...
-- Returns: 1 moved, 0 handled before
-- Callers: store.stream.reject
local events_key, rejected_key = unpack(KEYS)
local ns, group, entry, reason = unpack(ARGV, 1, 4)
if redis.call('XACK', events_key, group, entry) == 0 then return 0 end
local fields = {'entry', entry, 'reason', reason}
for i = 5, #ARGV do fields[#fields + 1] = ARGV[i] end
redis.call('XADD', rejected_key, 'MAXLEN', '~', 10000, '*', unpack(fields))
redis.call('XDEL', events_key, entry)
redis.call('HINCRBY', ns .. ':counters', 'rejected', 1)
return 1
