"""What Redis does in one step. Whatever settles or hands back goes on when memory is full."""

from hashlib import sha1
from typing import Final, NamedTuple

__all__ = ["JOIN", "LAG", "REMOVE", "SETTLE", "TEND", "TRIM", "Script"]


class Script(NamedTuple):
    """A Lua script; `sha` is the name under which Redis remembers it."""

    text: str
    sha: str


_HEAD: Final = """#!lua flags=allow-oom
local topic, retry, wait, dead, types, leases = unpack(KEYS)
local group = ARGV[1]

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local function let_go(stream, id)
  if stream ~= dead then redis.call('XACK', stream, group, id) end
  if stream ~= topic then redis.call('XDEL', stream, id) end
end

-- Nobody is answered while a script runs: what it may move at once is counted, and large entries count more.
local function effort(size) return 1 + math.floor(size / 50000) end

-- Add it to what only this subscription gets, which wakes whoever waits for it. Returns the effort.
local function hand_back(stream, id, starts)
  local entry, size = redis.call('XRANGE', stream, id, id)[1], 0
  if entry then
    local origin, returns, fields, given = id, starts, {}, entry[2]
    for i = 1, #given, 2 do
      size = size + #given[i + 1]
      if given[i] == 'x-events-origin' then origin = given[i + 1]
      elseif given[i] == 'x-events-returns' then returns = returns + (tonumber(given[i + 1]) or 0)
      elseif #fields < 6000 or given[i] == 'body' then
        -- Lua passes on some thousand arguments: of a stranger's headers, as many as fit.
        fields[#fields + 1], fields[#fields + 2] = given[i], given[i + 1]
      end
    end
    redis.call('XADD', retry, '*', 'x-events-origin', origin, 'x-events-returns', returns, unpack(fields))
  end
  let_go(stream, id)
  return effort(size)
end

local function groups_of(stream)
  local found = {}
  if redis.call('EXISTS', stream) == 0 then return found end
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local each = {}
    for i = 1, #flat, 2 do each[flat[i]] = flat[i + 1] end
    found[each.name] = each
  end
  return found
end

-- The next events of the topic: how many there are, how many of them are wanted, and the last one's id.
local function look_ahead(found, room)
  local seen, wanted, last = 0, 0, found['last-delivered-id']
  while room > 0 do
    local entry, type_, size = redis.call('XRANGE', topic, '(' .. last, '+', 'COUNT', 1)[1], nil, 0
    if not entry then break end
    for i = 1, #entry[2], 2 do
      size = size + #entry[2][i + 1]
      if entry[2][i] == 'ce_type' then type_ = entry[2][i + 1] end
    end
    if not type_ or redis.call('SISMEMBER', types, type_) == 1 then wanted = wanted + 1 end
    seen, last, room = seen + 1, entry[1], room - effort(size)
  end
  return seen, wanted, last
end
"""


def _script(body: str) -> Script:
    text = _HEAD + body
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


# ARGV: group, member, lease in ms, 'known' or 'earliest' or '', types... Returns whether it had been deleted.
JOIN: Final = _script("""
for i, kind in ipairs({'stream', 'stream', 'zset', 'stream', 'set'}) do
  local found = redis.call('TYPE', KEYS[i]).ok
  if found ~= kind and found ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is a ' .. found .. ' and has to be a ' .. kind)
  end
end

local existed = ARGV[4] == 'known' or redis.call('EXISTS', types, retry) > 0

local function make(stream, start)
  return not groups_of(stream)[group] and redis.call('XGROUP', 'CREATE', stream, group, start, 'MKSTREAM')
end

local made = make(topic, (existed or ARGV[4] == 'earliest') and '0' or '$')
local made_retry = make(retry, '0')
for i = 5, #ARGV do redis.call('SADD', types, ARGV[i]) end
redis.call('SET', leases .. ARGV[2], '1', 'PX', ARGV[3])
return existed and (made or made_retry) and 1 or 0
""")

# ARGV: group, member, lease in ms or 0 to end it, members that ended...
# Returns nothing when the lease was lost; else microseconds until the next retry is due, -1 for none.
TEND: Final = _script("""
local lease, room = tonumber(ARGV[3]), 100
if lease == 0 then redis.call('DEL', leases .. ARGV[2])
elseif not redis.call('SET', leases .. ARGV[2], '1', 'XX', 'PX', lease) then return {} end
for i = 4, #ARGV do redis.call('DEL', leases .. ARGV[i]) end

for _, stream in ipairs({retry, topic}) do
  for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
    if room > 0 and redis.call('EXISTS', leases .. consumer[2]) == 0 then
      for _, each in ipairs(redis.call('XPENDING', stream, group, '-', '+', room, consumer[2])) do
        if room > 0 then room = room - hand_back(stream, each[1], 1) end
      end
      if room > 0 then redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer[2]) end
    end
  end
end

while room > 0 do
  local packed, due = unpack(redis.call('ZRANGE', wait, 0, 0, 'WITHSCORES'))
  local pause = due and due - now()
  if not due or pause > 0 then return {pause or -1} end
  redis.call('XADD', retry, '*', unpack(cmsgpack.unpack(packed), 2))
  redis.call('ZREM', wait, packed)
  room = room - effort(#packed)
end
return {0}
""")

# ARGV: group, member, msgpack of [number of the stream, id, verdict, delay in us, copy from, its length]..., fields of copies.
# Returns 1 where it was held, 2 where its copy was refused: it still is. What is in `dead` is held by whoever reads it.
SETTLE: Final = _script("""
local function is_held(stream, id)
  if stream == dead then return redis.call('XRANGE', dead, id, id)[1] end
  local found = redis.call('XPENDING', stream, group, id, id, 1)[1]
  return found and found[2] == ARGV[2]
end

local function copy(verdict, delay, place, fields)
  if verdict == 'dead_letter' then return redis.pcall('XADD', dead, '*', unpack(fields)) end
  if delay == 0 then return redis.pcall('XADD', retry, '*', unpack(fields)) end
  -- The place of the original keeps two copies of equal events apart.
  return redis.pcall('ZADD', wait, now() + delay, cmsgpack.pack({place, unpack(fields)}))
end

local results = {}
for i, each in ipairs(cmsgpack.unpack(ARGV[3])) do
  local number, id, verdict, delay, first, length = unpack(each)
  local stream = KEYS[number]
  results[i] = is_held(stream, id) and 1 or 0
  if results[i] == 1 then
    if verdict == 'release' then hand_back(stream, id, 0)
    else
      local copied = verdict == 'accept' or copy(verdict, delay, stream .. id, {unpack(ARGV, first, first + length - 1)})
      if type(copied) == 'table' and copied.err then results[i] = 2 else let_go(stream, id) end
    end
  end
end
return results
""")

# ARGV: group. Of the next hundred, those of other types do not count; behind them all do: it is asked for often.
LAG: Final = _script("""
local found, waiting = groups_of(topic)[group], redis.call('XLEN', retry)
if waiting > 0 then waiting = waiting - redis.call('XPENDING', retry, group)[1] end
if not found then return waiting end
local seen, wanted = look_ahead(found, 100)
-- Redis does not know the lag behind a deleted entry.
return waiting + math.max(0, (found.lag or seen) - seen) + wanted
""")

# ARGV: group, 'force' or ''. Returns the backlog that forbids it, -1 for not done yet: passed over what it does not want.
REMOVE: Final = _script("""
local found = groups_of(topic)[group]
if ARGV[2] ~= 'force' then
  local backlog = redis.call('XLEN', retry) + redis.call('ZCARD', wait) + redis.call('XLEN', dead)
  local seen, wanted, last = 0, 0, nil
  if found then
    seen, wanted, last = look_ahead(found, 1000)
    backlog = backlog + found.pending + wanted
  end
  if backlog > 0 then return backlog end
  if seen > 0 then
    redis.call('XGROUP', 'SETID', topic, group, last)
    return -1
  end
end
if found then redis.call('XGROUP', 'DESTROY', topic, group) end
redis.call('DEL', retry, wait, dead, types)
return 0
""")

# ARGV: '', ms for which everything is kept, ms for which a topic without subscriptions keeps its events.
TRIM: Final = _script("""
local groups = groups_of(topic)
local ms, seq = math.floor(now() / 1000) - tonumber(next(groups) and ARGV[2] or ARGV[3]), 0

-- What comes from there on is kept.
local function keep(id, behind)
  local its_ms, its_seq = id:match('(%d+)-(%d+)')
  its_ms, its_seq = tonumber(its_ms), tonumber(its_seq) + behind
  if its_ms < ms or (its_ms == ms and its_seq < seq) then ms, seq = its_ms, its_seq end
end

for name, each in pairs(groups) do
  keep(each['last-delivered-id'], 1)
  if each.pending > 0 then keep(redis.call('XPENDING', topic, name)[2], 0) end
end
return redis.call('XTRIM', topic, 'MINID', string.format('%.0f-%.0f', math.max(ms, 0), seq))
""")
