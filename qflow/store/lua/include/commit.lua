-- Keeps a finished step, where there is one.
local function commit_step(steps_key, trace_key, step, result, trace)
  if step ~= '' then redis.call('HSET', steps_key, step, result) end
  if trace ~= '' then redis.call('XADD', trace_key, '*', 'j', trace) end
end
