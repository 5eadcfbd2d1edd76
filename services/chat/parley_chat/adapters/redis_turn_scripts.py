"""What Redis does in one step for the turn log: the scripts, and how their keys and answers are laid out.

A turn has two keys. KEYS[1] is a hash: `fence`, `writer` (the id of who writes it, empty when nobody does), `last` (the place of
the last event), `ended` (1 when that is an outcome) and `batch` (the id of what was appended last); it is also the mark that the log
exists. KEYS[2] is a stream of events, whose entry ids are `<place>-0` and which has one field, the event's line.

All scripts bear to be run twice, and a second time late: a command may be carried out after its sender gave it up.
"""

from __future__ import annotations

from parley_chat.adapters.redis_connection import RedisScript

BEGIN = RedisScript("""
-- writer, milliseconds to live
if redis.call('EXISTS', KEYS[1]) == 1 then
  return redis.call('HGET', KEYS[1], 'writer') == ARGV[1] and 'ok' or 'fenced'
end
redis.call('HSET', KEYS[1], 'fence', 1, 'writer', ARGV[1], 'last', 0, 'batch', '')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 'ok'
""")

TAKE_OVER = RedisScript("""
-- writer, fence; gives the last place
local fence, writer, last = unpack(redis.call('HMGET', KEYS[1], 'fence', 'writer', 'last'))
if not fence then return 'missing' end
if tonumber(fence) > tonumber(ARGV[2]) or (tonumber(fence) == tonumber(ARGV[2]) and writer ~= ARGV[1]) then
  return 'fenced'
end
redis.call('HSET', KEYS[1], 'fence', ARGV[2], 'writer', ARGV[1])
return last
""")

APPEND = RedisScript("""
-- channel, writer, fence, place before, batch, milliseconds to live, least milliseconds to live, milliseconds to live or -1, lines...
local fence, writer, last, batch = unpack(redis.call('HMGET', KEYS[1], 'fence', 'writer', 'last', 'batch'))
if not fence then return {'missing'} end
-- A fence below the writer's own was its own, before Redis lost its last moments.
if tonumber(fence) > tonumber(ARGV[3]) or (tonumber(fence) == tonumber(ARGV[3]) and writer ~= ARGV[2]) then
  return {'fenced'}
end
if last ~= ARGV[4] then return {'elsewhere', last, batch} end
for place = 9, #ARGV do
  redis.call('XADD', KEYS[2], string.format('%d-0', last + place - 8), 'e', ARGV[place])
end
redis.call('HSET', KEYS[1], 'fence', ARGV[3], 'writer', ARGV[2], 'batch', ARGV[5],
  'last', string.format('%d', last + #ARGV - 8), 'ended', tonumber(ARGV[8]) >= 0 and 1 or 0)
local lives = tonumber(ARGV[8])
if lives >= 0 or redis.call('PTTL', KEYS[2]) < tonumber(ARGV[7]) then
  if lives < 0 then lives = tonumber(ARGV[6]) end
  redis.call('PEXPIRE', KEYS[1], lives)
  redis.call('PEXPIRE', KEYS[2], lives)
end
redis.call('PUBLISH', ARGV[1], '')
return {'ok'}
""")

RELEASE = RedisScript("""
-- writer; gives Redis' time in seconds, or nothing when somebody else writes
if redis.call('HGET', KEYS[1], 'writer') ~= ARGV[1] then return false end
redis.call('HSET', KEYS[1], 'writer', '')
return redis.call('TIME')[1]
""")

READ = RedisScript("""
-- place, most events, bytes after which it is enough; gives the last place, 1 if that is an outcome, and the lines after the place
local last, ended = unpack(redis.call('HMGET', KEYS[1], 'last', 'ended'))
if not last then return {'missing'} end
local found, size, place = {last, ended or '0'}, 0, ARGV[1]
if tonumber(place) >= tonumber(last) then return found end
while true do
  -- Few at a time: one event may be as long as a whole answer.
  local entries = redis.call('XRANGE', KEYS[2], '(' .. place .. '-0', '+', 'COUNT', 16)
  for _, entry in ipairs(entries) do
    found[#found + 1] = entry[2][2]
    size = size + #entry[2][2]
    if size >= tonumber(ARGV[3]) or #found >= ARGV[2] + 2 then return found end
  end
  if #entries < 16 then return found end
  place = string.match(entries[16][1], '^%d+')
end
""")

DELETE = RedisScript("""
-- channel, 1 to spare a log that somebody writes; gives whether it is gone by this
if ARGV[2] == '1' and (redis.call('HGET', KEYS[1], 'writer') or '') ~= '' then return 0 end
local gone = redis.call('DEL', KEYS[1], KEYS[2])
redis.call('PUBLISH', ARGV[1], '')
return gone > 0 and 1 or 0
""")
