-- Open steps beside the main lane: jobs to be taken by any worker, timers, waits; drop others. Where the
-- next lane record is a suspended one (w), the worker lets go of the run too, and a handler that has not
-- heard of every settled step yet is woken at once. A step that is open or settled already is left as it
-- is, so that a call may be repeated. Where an event that a step asks for is there already, nothing is
-- written and its entries are returned, for the worker to look at them first.
-- KEYS: run steps trace open waits
-- ARGV: ns rq run worker expected next closed_id step result trace data ttl keep_s known grouped [hash step item]...
-- Builds: <ns>:lanes:<worker>, <ns>:forks, <ns>:waiters:<digest>, <ns>:recent:<digest>, <ns>:signal:<name>, <ns>:approvals, <ns>:events, <ns>:functions, <rq>:job:<id>, a child's keys, <ns>:slots:<limit>, <ns>:backlog:<group>, <ns>:ring:<limit>, <ns>:rings, the indexes of the run's status
-- Returns: 1 done, 2 done before, 3 the run was cancelled, the current lane record where the lease was lost, or {hash, entry...} to look at
-- Callers: store.open.fork
local run_key, steps_key, trace_key, open_key, waits_key = unpack(KEYS)
local ns, rq, run, worker, expected, next, closed_id, step, result, trace, data, ttl, keep_s, known,
  grouped = unpack(ARGV, 1, 15)
-- include: fence
local suspends = next ~= expected
local refused = refuse(run_key, ns, expected, suspends and next or '')
if refused then return refused end
-- include: clock
-- include: jobs
-- include: commit
-- include: index
-- include: wake
-- include: timer
-- include: place
-- include: slots
-- include: serve
-- include: resume
-- include: open
-- include: settle
-- include: ending
-- include: unwatch
-- include: holdings
-- include: tell
-- include: cancel
-- include: terms
-- include: gates
-- include: admit
-- include: create
-- include: lookback
-- include: opening
local items = {}
for i = 16, #ARGV, 3 do
  local hash, name, item = ARGV[i], ARGV[i + 1], cjson.decode(ARGV[i + 2])
  item.text = ARGV[i + 2]
  if item.kind == 'drop' then
    items[#items + 1] = {hash, name, item}
  elseif redis.call('HEXISTS', open_key, hash) == 0 and redis.call('HEXISTS', steps_key, name) == 0 then
    local found = item.kind == 'event' and unheard(ns, waits_key, item)
    if found then
      table.insert(found, 1, hash)
      return found
    end
    items[#items + 1] = {hash, name, item}
  end
end
local info = redis.call('HMGET', run_key, 'fn', 'status', 'created', 'flow', 'age', 'ahead')
commit_step(steps_key, trace_key, step, result, trace)
if suspends then
  if step == '' then
    redis.call('DEL', rq .. ':job:' .. closed_id) -- nothing of its own has ended
    redis.call('ZREM', rq .. ':wip:' .. ns, closed_id .. ':' .. worker)
  else
    close_job(rq .. ':job:' .. closed_id, closed_id, 'finished', rq .. ':finished:' .. ns, rq .. ':wip:' .. ns, worker, ttl)
  end
  redis.call('HSET', run_key, 'lane', next, 'status', 'waiting')
  redis.call('SREM', ns .. ':lanes:' .. worker, run)
  move_index(ns, info[1], run, info[2], 'waiting', info[3])
end
local token = string.match(next, '^%a|(%d+)|')
local queued = 0
for _, each in ipairs(items) do
  queued = queued + open_step(ns, rq, run, token, info, each[1], each[2], each[3], data, ttl, keep_s)
end
-- only now that its steps wait beside the others: they come first where their run is older
if suspends and info[4] then free_slots(ns, rq, run, info[4], false) end
if grouped == '1' or queued > 0 then
  redis.call('HSET', run_key, 'forked', 1)
else
  redis.call('HSETNX', run_key, 'forked', 0)
end
if queued > 0 then
  redis.call('ZADD', ns .. ':forks', 'NX', now_ms, run)
  wake_workers(ns .. ':wake', queued)
end
if suspends and tonumber(redis.call('HGET', run_key, 'settled') or 0) > tonumber(known) then resume(ns, rq, run, data, ttl) end
return 1
