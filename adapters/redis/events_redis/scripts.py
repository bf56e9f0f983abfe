"""What Redis does in one step. Whatever settles or hands back goes on when memory is full."""

from hashlib import sha1
from typing import Final, NamedTuple

__all__ = ["DISPOSE", "JOIN", "LAG", "REMOVE", "SETTLE", "TEND", "TRIM", "Script"]


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

-- The fields of a copy are arguments: so many, from the first on.
local function add(stream, first, number)
  redis.call('XADD', stream, '*', unpack(ARGV, first, first + number - 1))
end

local function let_go(stream, id)
  redis.call('XACK', stream, group, id)
  if stream == retry then redis.call('XDEL', retry, id) end
end

-- Add it to what only this subscription gets, which wakes whoever waits for it.
local function hand_back(stream, id, starts)
  local entry = redis.call('XRANGE', stream, id, id)[1]
  if entry then
    local origin, returns, fields, given = id, starts, {}, entry[2]
    for i = 1, #given, 2 do
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
end

local function group_of(stream)
  if redis.call('EXISTS', stream) == 0 then return nil end
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local found = {}
    for i = 1, #flat, 2 do found[flat[i]] = flat[i + 1] end
    if found.name == group then return found end
  end
end

-- Redis does not know the lag behind a deleted entry: then some are counted.
local function unread(found)
  return found.lag or #redis.call('XRANGE', topic, '(' .. found['last-delivered-id'], '+', 'COUNT', 100)
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
  return not group_of(stream) and redis.call('XGROUP', 'CREATE', stream, group, start, 'MKSTREAM')
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
      local pending = redis.call('XPENDING', stream, group, '-', '+', room, consumer[2])
      for _, each in ipairs(pending) do hand_back(stream, each[1], 1) end
      if #pending < room then redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer[2]) end
      room = room - #pending
    end
  end
end

local time = now()
for _, packed in ipairs(redis.call('ZRANGE', wait, '-inf', time, 'BYSCORE', 'LIMIT', 0, 100)) do
  redis.call('XADD', retry, '*', unpack(cmsgpack.unpack(packed), 2))
  redis.call('ZREM', wait, packed)
end
local first = redis.call('ZRANGE', wait, 0, 0, 'WITHSCORES')
if room <= 0 then return {0} end
return {first[2] and math.max(0, first[2] - time) or -1}
""")

# ARGV: group, member, msgpack of [number of the stream, id, verdict, delay in us, copy from, its length]..., fields of copies.
# Returns 1 where it was held.
SETTLE: Final = _script("""
local results, accepted = {}, {{}, {}}
for i, each in ipairs(cmsgpack.unpack(ARGV[3])) do
  local number, id, verdict, delay, first, length = unpack(each)
  local stream = KEYS[number]
  local held = redis.call('XPENDING', stream, group, id, id, 1)[1]
  results[i] = held and held[2] == ARGV[2] and 1 or 0
  if results[i] == 1 then
    if verdict == 'accept' then table.insert(accepted[number], id)
    elseif verdict == 'release' then hand_back(stream, id, 0)
    else
      if verdict == 'dead_letter' then add(dead, first, length)
      elseif delay > 0 then
        -- The place of the original keeps two copies of equal events apart.
        local parcel = cmsgpack.pack({stream .. id, unpack(ARGV, first, first + length - 1)})
        redis.call('ZADD', wait, now() + delay, parcel)
      else add(retry, first, length) end
      let_go(stream, id)
    end
  end
end
for number, ids in ipairs(accepted) do
  if #ids > 0 then
    redis.call('XACK', KEYS[number], group, unpack(ids))
    if number == 2 then redis.call('XDEL', retry, unpack(ids)) end
  end
end
return results
""")

# ARGV: group, msgpack of [id, copy to replay from, its length or 0]..., fields of copies. Returns 1 where it was there.
DISPOSE: Final = _script("""
local results = {}
for i, each in ipairs(cmsgpack.unpack(ARGV[2])) do
  results[i] = redis.call('XDEL', dead, each[1])
  if results[i] == 1 and each[3] > 0 then add(retry, each[2], each[3]) end
end
return results
""")

LAG: Final = _script("""
local found = group_of(topic)
local handed_out = redis.call('EXISTS', retry) == 1 and redis.call('XPENDING', retry, group)[1] or 0
return (found and unread(found) or 0) + redis.call('XLEN', retry) - handed_out
""")

# ARGV: group, 'force' or ''. Returns the backlog that forbids it.
REMOVE: Final = _script("""
local found = group_of(topic)
if ARGV[2] ~= 'force' then
  local backlog = redis.call('XLEN', retry) + redis.call('ZCARD', wait) + redis.call('XLEN', dead)
  if found then backlog = backlog + found.pending + unread(found) end
  if backlog > 0 then return backlog end
end
if found then redis.call('XGROUP', 'DESTROY', topic, group) end
redis.call('DEL', retry, wait, dead, types)
return 0
""")

# ARGV: '', ms for which everything is kept, ms for which a topic without subscriptions keeps its events.
TRIM: Final = _script("""
if redis.call('EXISTS', topic) == 0 then return 0 end
local time, groups = math.floor(now() / 1000), redis.call('XINFO', 'GROUPS', topic)
local ms, seq = time - tonumber(#groups > 0 and ARGV[2] or ARGV[3]), 0
for _, flat in ipairs(groups) do
  local found = {}
  for i = 1, #flat, 2 do found[flat[i]] = flat[i + 1] end
  local oldest = found.pending > 0 and redis.call('XPENDING', topic, found.name)[2] or found['last-delivered-id']
  local its_ms, its_seq = oldest:match('(%d+)-(%d+)')
  its_ms, its_seq = tonumber(its_ms), tonumber(its_seq) + (found.pending > 0 and 0 or 1)
  if its_ms < ms or (its_ms == ms and its_seq < seq) then ms, seq = its_ms, its_seq end
end
return redis.call('XTRIM', topic, 'MINID', string.format('%.0f-%.0f', math.max(ms, 0), seq))
""")
