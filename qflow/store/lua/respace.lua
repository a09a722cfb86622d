-- Let runs that a throttle holds back wait by the numbers of today (`most` 0: it is throttled no more), in the
-- order given. Those that do so already, or wait for nothing of the kind, are left alone.
-- KEYS: scheduled
-- ARGV: ns fn most per_ms burst [run]...
-- Builds: <ns>:run:<run>, <ns>:throttle:<fn>:<key>, <ns>:wake:timer
-- Returns: runs that wait anew
-- Callers: store.gate.respace
local scheduled_key = KEYS[1]
local ns, fn, most, per_ms, burst = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
-- include: clock
-- include: timer
-- include: gates
local moved = 0
for i = 6, #ARGV do
  local run = ARGV[i]
  local run_key = ns .. ':run:' .. run
  local known = redis.call('HMGET', run_key, 'lane', 'gates', 'gate')
  local gates = string.sub(known[1] or '', 1, 4) == 'd|1|' and known[2] and cjson.decode(known[2])
  local gate = gates and gates[known[3] - 1]
  if gate and gate[1] == 'throttle' and (gate[3] ~= most or gate[4] ~= per_ms or gate[5] ~= burst) then
    gate[3], gate[4], gate[5] = most, per_ms, burst
    local verdict = most > 0 and GATES.throttle({ns = ns, fn = fn}, gate)
    local due = verdict and verdict.due or now_ms
    redis.call('HSET', run_key, 'due', due, 'gates', cjson.encode(gates))
    set_timer(ns, scheduled_key, run .. '-enter-1', due)
    moved = moved + 1
  end
end
return moved
