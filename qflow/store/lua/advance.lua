-- Keep the finished step of each run given, close its job, and let the same worker go on: with the
-- run's next step or, where the handler returned (`output` is not empty), with the run's end. The runs
-- of one group commit come together; each is written or refused by itself.
-- The RQ job of a short step is written here, as a whole; one that ran for longer was opened before
-- (open.lua) and is closed only: `started_ms` is empty then. `entered`, where not empty, is the job
-- that led to this step and is closed with it.
-- KEYS: wip finished lanes
-- ARGV: ns rq worker data ttl retention_s [run expected next entered closed started_ms step result trace fn timeout created output]...
-- Builds: <ns>:run:<run>…, <rq>:job:<closed> and of `entered`, <ns>:functions:listened, <ns>:events, the run's places in <ns>:cancel:<rule> and <ns>:deadlines, the indexes of the runs' status
-- Returns: for each run 1 done, 2 done before, 3 the run was cancelled, or the current lane record where the lease was lost
-- Callers: store.run.advance
local wip_key, finished_key, lanes_key = unpack(KEYS)
local ns, rq, worker, data, ttl, retention_s = unpack(ARGV, 1, 6)
-- include: fence
-- include: clock
-- include: unwatch
-- include: tell
local jobs = rq .. ':job:'
local expiry, millis = string.format('%d', seconds + ttl), string.format('%.0f', now_ms)
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
local replies = {}
for i = 7, #ARGV, 13 do
  local run, expected, next, entered, closed, started_ms, step, result, trace, fn, timeout, created,
    output = unpack(ARGV, i, i + 12)
  local run_key = ns .. ':run:' .. run
  local refused = refuse(run_key, ns, expected, next)
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
