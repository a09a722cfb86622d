-- Let runs that a gate holds back wait by its numbers of today (a gate that is not among them is gone: no
-- more), in the order given. Those that do so already, or wait for nothing of the kind, are left alone.
-- KEYS: scheduled
-- ARGV: ns fn numbers [run]...
-- Builds: <ns>:run:<run>, <ns>:throttle:<fn>:<key>, <ns>:wake:timer
-- Returns: runs that wait anew
-- Callers: store.gate.respace
local scheduled_key = KEYS[1]
local ns, fn, numbers = unpack(ARGV, 1, 3)
-- include: clock
-- include: timer
-- include: gates
local today = cjson.decode(numbers)
local due_by = {} -- when a run may start by a gate with these numbers
function due_by.throttle(_, gate)
  local verdict = GATES.throttle({ns = ns, fn = fn}, gate)
  return verdict and verdict.due or now_ms
end
function due_by.debounce(run_key, gate)
  local known = redis.call('HMGET', run_key, 'taken', 'first')
  local due = math.ceil(known[1]) + gate[3]
  return gate[4] > 0 and math.min(due, known[2] + gate[4]) or due
end
function due_by.batch(run_key, gate)
  local known = redis.call('HMGET', run_key, 'created', 'batched')
  return tonumber(known[2]) >= gate[3] and now_ms or known[1] + gate[4]
end
local function is_changed(gate)
  local changed, given = false, today[gate[1]] or {0}
  for at, number in ipairs(given) do
    changed = changed or gate[at + 2] ~= number
    gate[at + 2] = number
  end
  return changed
end
local moved = 0
for i = 4, #ARGV do
  local run = ARGV[i]
  local run_key = ns .. ':run:' .. run
  local known = redis.call('HMGET', run_key, 'lane', 'gates', 'gate')
  local gates = string.sub(known[1] or '', 1, 4) == 'd|1|' and known[2] and cjson.decode(known[2])
  local gate = gates and gates[known[3] - 1]
  if gate and is_changed(gate) then
    local due = math.max(now_ms, today[gate[1]] and due_by[gate[1]](run_key, gate) or now_ms)
    redis.call('HSET', run_key, 'due', due .. '', 'gates', cjson.encode(gates))
    set_timer(ns, scheduled_key, run .. '-enter-1', due)
    moved = moved + 1
  end
end
return moved
