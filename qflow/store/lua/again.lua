-- Create a run from one there was: of the same function, for the same event or another text of it, with
-- the results of some of its steps; those that were open at once are told in the order they had. The two
-- are linked.
-- KEYS: run steps order functions rq_queues wake scheduled
-- ARGV: ns rq old fn run version app terms event edit data ttl keep_s [step note result]...
-- Builds: <ns>:run:<run> of the new one, <ns>:paused, <ns>:held:<fn>, <ns>:slots:<limit>, <ns>:backlog:<group>, <ns>:ring:<limit>, <ns>:rings, <ns>:behind, <rq>:job:<run>-enter-1, <rq>:queue:<ns>, the indexes of the run
-- Returns: 1 created, now or by this very call before, 0 there is no such run, -1 its function is not published
-- Callers: store.again.again
local run_key, steps_key, order_key, functions_key, queues_key, wake_key, scheduled_key = unpack(KEYS)
local ns, rq, old, fn, run, version, app, terms, event, edit, data, ttl, keep_s = unpack(ARGV, 1, 13)
local known = redis.call('HGETALL', run_key)
if #known == 0 then return 0 end
if redis.call('HEXISTS', functions_key, fn) == 0 then return -1 end
local new_key = ns .. ':run:' .. run
if redis.call('EXISTS', new_key) == 1 then return 1 end
-- include: clock
-- include: jobs
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
local fields, kept = {}, {}
for at = 1, #known, 2 do fields[known[at]] = known[at + 1] end
for i = 14, #ARGV, 3 do
  local result = redis.call('HGET', steps_key, ARGV[i])
  if result then
    if ARGV[i + 2] ~= '' then result = ARGV[i + 2] end -- encoded for the new run
    local child = 'child:' .. string.sub(redis.sha1hex(ARGV[i]), 1, 10)
    if fields[child] then redis.call('HSET', new_key, child, fields[child]) end
    redis.call('HSET', new_key .. ':steps', ARGV[i], result)
    redis.call('XADD', new_key .. ':trace', '*', 'j', ARGV[i + 1])
    kept[ARGV[i]] = true
  end
end
for _, step in ipairs(redis.call('LRANGE', order_key, 0, -1)) do
  if kept[step] then
    local count = redis.call('RPUSH', new_key .. ':order', step)
    redis.call('HSET', new_key, 'forked', fields.forked, 'settled', count)
  end
end
for name, value in pairs(fields) do
  local batched = event == '' and (name == 'batched' or string.sub(name, 1, 6) == 'event:')
  if batched then redis.call('HSET', new_key, name, value) end
  if string.sub(name, 1, 6) == 'patch:' and #ARGV > 13 then redis.call('HSET', new_key, name, value) end
end
if edit ~= '' then redis.call('HSET', new_key, 'edit', edit) end
redis.call('HSET', new_key, 'origin', old)
redis.call('HSET', run_key, 'again', run)
make_run(ns, rq, fn, run, version, app, fields.event_id, event == '' and fields.event or event, data, ttl,
  nil, terms ~= '' and cjson.decode(terms), keep_s, scheduled_key, redis.call('HGET', ns .. ':paused', fn))
redis.call('SADD', queues_key, rq .. ':queue:' .. ns)
wake_workers(wake_key, 1)
return 1
