-- Redis's clock: `seconds`, `now_ms`, the same as text, `now` (a number costs a call more than its text),
-- and `stamp`, the time as RQ writes it; `stamp_of_ms` writes another.
local time = redis.call('TIME')
local seconds, micros = tonumber(time[1]), tonumber(time[2])
local now_ms = seconds * 1000 + (micros - micros % 1000) / 1000
local now = now_ms .. ''
local function stamp_of(s, us)
  -- days to year, month, day (Howard Hinnant's civil_from_days); `x - x % n` since math.floor takes longer
  local rest = s % 86400
  local z = (s - rest) / 86400 + 719468
  local doe = z % 146097
  local yoe = (doe - (doe - doe % 1460) / 1460 + (doe - doe % 36524) / 36524 - (doe - doe % 146096) / 146096) / 365
  yoe = yoe - yoe % 1
  local doy = doe - (365 * yoe + (yoe - yoe % 4) / 4 - (yoe - yoe % 100) / 100)
  local mp = (5 * doy + 2) / 153
  mp = mp - mp % 1
  local month = mp < 10 and mp + 3 or mp - 9
  local length = (153 * mp + 2) / 5
  local minute, second = rest % 3600, rest % 60
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%06dZ', yoe + (z - doe) / 146097 * 400 + (month <= 2 and 1 or 0), month,
    doy - (length - length % 1) + 1, (rest - minute) / 3600, (minute - second) / 60, second, us)
end
local stamp = stamp_of(seconds, micros)
local function stamp_of_ms(ms) -- digits; mostly of this very second
  local whole, thousandths = string.sub(ms, 1, -4), string.sub(ms, -3)
  if whole == time[1] then return string.sub(stamp, 1, 20) .. thousandths .. '000Z' end
  return stamp_of(tonumber(whole), tonumber(thousandths) * 1000)
end
