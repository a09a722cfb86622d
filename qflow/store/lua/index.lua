-- Note entries of the stream that came before routers indexed by a path, for a wait that looks back.
-- KEYS: recent
-- ARGV: ns [entry]...
-- Returns: entries noted
-- Callers: store.wait.index
local recent_key = KEYS[1]
local ns = ARGV[1]
-- include: recent
for i = 2, #ARGV do note_event(recent_key, ARGV[i]) end
return #ARGV - 1
