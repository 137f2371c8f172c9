--[[ repair-run: sets right what can be told from the run's record: its place in `due` and in the indexes, and its context from
  its history. The run itself does not move: no seq, no entry.
  KEYS[1]  any key of the shard (routing)
  ARGV[1]  P (unused here, as in the others)
  ARGV[2]  T, the shard's tag and a colon
  ARGV[3]  run id
  ARGV[4]  seq of the record that was judged
  ARGV[5]  letters: d its place in `due`; i the indexes; c the context
  ARGV[6]  the context, JSON text
  ARGV[7]  the statuses that there are, with a space between them
  ARGV[8…] the run's tags
  Returns  1 done; -11 no such run; -12 it was written to since: nothing was changed
  Cost     O(log n) a place.
  Crash    none or all of it. ]]
local T = ARGV[2]
local RC = redis.call

local id, letters = ARGV[3], ARGV[5]
local f = RC('HMGET', T .. 'run:' .. id, 'seq', 'status', 'proc', 't0', 'zt', 'st', 'rt')
if not f[1] then return -11 end
if f[1] ~= ARGV[4] then return -12 end

if string.find(letters, 'c', 1, true) then RC('SET', T .. 'ctx:' .. id, ARGV[6]) end
if string.find(letters, 'i', 1, true) then
  RC('ZADD', T .. 'runs:status:' .. f[2], f[4], id)
  RC('ZADD', T .. 'runs:procedure:' .. f[3], f[4], id)
  for i = 8, #ARGV do RC('ZADD', T .. 'runs:tag:' .. ARGV[i], f[4], id) end
  for status in string.gmatch(ARGV[7], '%S+') do
    if status ~= f[2] then RC('ZREM', T .. 'runs:status:' .. status, id) end
  end
end
if string.find(letters, 'd', 1, true) then
  local earliest
  for k = 5, 7 do
    local at = f[k] and tonumber(f[k])
    if at and (not earliest or at < earliest) then earliest = at end
  end
  if earliest then
    RC('ZADD', T .. 'due', string.format('%d', earliest), id)
    RC('PUBLISH', T .. 'wake', string.format('%d', earliest))
  else
    RC('ZREM', T .. 'due', id)
  end
end
return 1
