"""What Redis does in one step each, in Lua, by the name that the core gives it.

Time is the server's, so that no process's clock counts. Two sorted sets for each credential, named by its hash: `came` has the sessions
of the last minute by when they came, `open` has those that are open by when their lease ends. Both are in the same hash slot and
expire by themselves. Knows nothing of why a command is given.
"""

from __future__ import annotations

from typing import Final

from proxy.core.fleet import Script

_NOW: Final = """\
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function expires_with_its_last(key)
  local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
  if last[2] then redis.call('PEXPIREAT', key, string.format('%.0f', last[2] + 1)) end
end
"""

_COME: Final = """\
local came, open = KEYS[1], KEYS[2]
local name, age, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local per_minute, holds_rate = tonumber(ARGV[4]), ARGV[5] == '1'
local sessions, holds_sessions = tonumber(ARGV[6]), ARGV[7] == '1'
redis.call('ZREMRANGEBYSCORE', came, '-inf', now - 60000)
redis.call('ZREMRANGEBYSCORE', open, '-inf', now)
local there = redis.call('ZSCORE', came, name) or redis.call('ZSCORE', open, name)
local mine = there and 0 or 1
local many, full = redis.call('ZCARD', came) + mine, redis.call('ZCARD', open) + mine
if (holds_rate and many > per_minute) or (holds_sessions and full > sessions) then
  return {0, many, full}
end
if per_minute > 0 then
  redis.call('ZADD', came, now - age, name)
  redis.call('PEXPIRE', came, 60000)
end
if sessions > 0 then
  redis.call('ZADD', open, now + lease, name)
  expires_with_its_last(open)
end
return {1, many, full}
"""

_STAY: Final = """\
for place = 2, #ARGV do
  redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[place])
end
expires_with_its_last(KEYS[1])
return #ARGV - 1
"""

_LEAVE: Final = """\
local came, open = KEYS[1], KEYS[2]
local name, lingers = ARGV[1], tonumber(ARGV[2])
if ARGV[3] == '1' then redis.call('ZREM', came, name) end
if lingers > 0 and redis.call('ZSCORE', open, name) then
  redis.call('ZADD', open, now + lingers, name)
else
  redis.call('ZREM', open, name)
end
expires_with_its_last(open)
return 1
"""

_GREET: Final = """\
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
expires_with_its_last(KEYS[1])
return redis.call('ZCARD', KEYS[1])
"""

SCRIPTS: Final = {
    Script.COME: _NOW + _COME,
    Script.STAY: _NOW + _STAY,
    Script.LEAVE: _NOW + _LEAVE,
    Script.GREET: _NOW + _GREET,
}
