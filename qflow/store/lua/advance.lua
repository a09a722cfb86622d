-- Keep the finished step of each run given, close its job, and let the same worker go on: with the
-- run's next step or, where the handler returned (`output` is not empty), with the run's end. The runs
-- of one group commit come together; each is written or refused by itself.
-- The RQ job of a short step is written here, as a whole; one that ran for longer was opened before
-- (open.lua) and is closed only: `started_ms` is empty then. `entered`, where not empty, is the job
-- that led to this step and is closed with it.
-- KEYS: wip finished lanes
-- ARGV: ns rq worker data ttl retention_s [run expected next entered closed started_ms step result trace fn timeout created output flow]...
-- Builds: <ns>:run:<run>…, <rq>:job:<closed> and of `entered`, <ns>:slots:<limit>, <ns>:backlog:<group>, <ns>:ring:<limit>, <ns>:rings, <ns>:functions:listened, <ns>:events, the run's places in <ns>:cancel:<rule> and <ns>:deadlines, the indexes of the runs' status
-- Returns: for each run 1 done, 2 done before, 3 the run was cancelled, 4 done and the run waits for its slots, or the current lane record where the lease was lost
-- Callers: store.run.advance
local wip_key, finished_key, lanes_key = unpack(KEYS)
local ns, rq, worker, data, ttl, retention_s = unpack(ARGV, 1, 6)
-- include: fence
-- include: clock
-- include: unwatch
-- include: tell
local jobs = rq .. ':job:'
local expiry, millis = string.format('%d', seconds + ttl), string.format('%d', now_ms)
local finished, left, ended, by_function = {'ZADD', finished_key}, {'ZREM', wip_key}, {}, {}
local function close(id, written)
  if written then
    redis.call('HSET', jobs .. id, 'status', 'finished', 'ended_at', stamp)
    left[#left + 1] = id .. ':' .. worker
  end
  redis.call('EXPIRE', jobs .. id, ttl)
  finished[#finished + 1] = expiry
  finished[#finished + 1] = id
end
local function end_run(run, run_key, fn, created, output)
  unwatch(ns, redis.call('HGET', run_key, 'watched'))
  tell_end(ns, run, fn, 'completed', '"output":' .. output)
  redis.call('XADD', run_key .. ':trace', '*', 'j', '{"t":"end","status":"completed"}')
  redis.call('EXPIRE', run_key, retention_s)
  redis.call('EXPIRE', run_key .. ':steps', retention_s)
  redis.call('EXPIRE', run_key .. ':trace', retention_s)
  local runs = by_function[fn] or {}
  by_function[fn] = runs
  runs[#runs + 1], ended[#ended + 1] = run, run
  runs[run] = created
end
-- A run with limits: frees them at its end, and lets go of them before its next step where others come first.
-- What it needs is defined in here, so that runs without limits do not pay for it.
local function let_go(run, run_key, next, flow, created, has_ended, fn)
-- include: jobs
-- include: index
-- include: wake
-- include: place
-- include: slots
-- include: serve
  if has_ended then return free_slots(ns, rq, run, flow, true) end
  local age = redis.call('HGET', run_key, 'age')
  if not yield_slots(ns, rq, run, flow, age) then return nil end
  local token, counts, step = string.match(next, '^s|(%d+)|(%d+|%d+)|[^|]*|(.*)$')
  redis.call('HSET', run_key, 'lane', 'b|' .. token .. '|' .. counts .. '||' .. step, 'status', 'queued', 'queued', millis)
  local id = run .. '-' .. string.sub(redis.sha1hex(step), 1, 10) .. '-' .. token
  open_job(jobs .. id, 'deferred', ns, data, fn .. '/' .. step, -1, ttl)
  redis.call('SREM', lanes_key, run)
  move_index(ns, fn, run, 'running', 'queued', created)
  free_slots(ns, rq, run, flow, false)
  return 4
end
local function yielded(run_key, next) -- by this very call, whose reply was lost
  local state, token = string.match(redis.call('HGET', run_key, 'lane') or '', '^([bq])|(%d+)|')
  return state and token == string.match(next, '^s|(%d+)|') and 4
end
local replies = {}
for i = 7, #ARGV, 14 do
  local run, expected, next, entered, closed, started_ms, step, result, trace, fn, timeout, created,
    output, flow = unpack(ARGV, i, i + 13)
  local run_key = ns .. ':run:' .. run
  local refused = flow ~= '' and yielded(run_key, next) or refuse(run_key, ns, expected, next)
  if not refused then
    if output == '' then
      redis.call('HSET', run_key, 'lane', next)
    else
      redis.call('HSET', run_key, 'lane', next, 'status', 'completed', 'ended', millis, 'output', output)
    end
    if step ~= '' then
      redis.call('HSET', run_key .. ':steps', step, result)
      redis.call('XADD', run_key .. ':trace', '*', 'j', trace)
    end
    if entered ~= '' then close(entered, true) end
    if started_ms ~= '' then
      local started = stamp_of_ms(started_ms)
      redis.call('HSET', jobs .. closed, 'created_at', started, 'enqueued_at', started, 'data', data,
        'origin', ns, 'description', step == '' and fn or fn .. '/' .. step, 'status', 'finished', 'timeout', timeout,
        'result_ttl', ttl, 'failure_ttl', ttl, 'started_at', started, 'last_heartbeat', started,
        'worker_name', worker, 'ended_at', stamp)
    end
    close(closed, started_ms == '')
    if output ~= '' then end_run(run, run_key, fn, created, output) end
    if flow ~= '' then refused = let_go(run, run_key, next, flow, created, output ~= '', fn) end
  end
  replies[#replies + 1] = refused or 1
end
if #finished > 2 then redis.call(unpack(finished)) end
if #left > 2 then redis.call(unpack(left)) end
if #ended > 0 then
  redis.call('SREM', lanes_key, unpack(ended))
  redis.call('ZREM', ns .. ':runs:running', unpack(ended))
end
for fn, runs in pairs(by_function) do
  local scored = {}
  for _, run in ipairs(runs) do
    scored[#scored + 1] = runs[run]
    scored[#scored + 1] = run
  end
  redis.call('ZREM', ns .. ':fn:' .. fn .. ':running', unpack(runs))
  redis.call('ZADD', ns .. ':fn:' .. fn .. ':completed', unpack(scored))
  redis.call('ZADD', ns .. ':runs:completed', unpack(scored))
end
return replies
