--[[ claim-due: hands the runs whose earliest deadline has passed to one sweeper.
  A claimed run is put off by the lease, so that a sweeper that dies before its commit is followed by another; a commit
  sets the run's true deadline again. Two sweepers that hold the same run are told apart by the commit's seq.
  KEYS[1]  any key of the shard (routing)
  ARGV[1]  P (unused here, as in the others)
  ARGV[2]  T, the shard's tag and a colon
  ARGV[3]  most runs to claim
  ARGV[4]  lease in ms
  Returns  { NOW, ms until the next deadline or -1, { id, snapshot, id, snapshot, … } }
  Cost     O(log n + claimed).
  Crash    none or all of it. ]]
local P, T = ARGV[1], ARGV[2]
-- @include lib/clock
-- @constants
-- @include lib/snapshot

local claimed = {}
for _, id in ipairs(RC('ZRANGEBYSCORE', T .. 'due', '-inf', NOW_S, 'LIMIT', 0, ARGV[3])) do
  local at = RC('HMGET', T .. 'run:' .. id, 'zt', 'st', 'rt')
  local earliest
  for k = 1, 3 do
    local ms = tonumber(at[k] or nil)
    if ms and (not earliest or ms < earliest) then earliest = ms end
  end
  if not earliest then
    RC('ZREM', T .. 'due', id)
  elseif earliest > NOW then
    RC('ZADD', T .. 'due', string.format('%d', earliest), id)
  else
    RC('ZADD', T .. 'due', string.format('%d', NOW + tonumber(ARGV[4])), id)
    claimed[#claimed + 1] = id
    claimed[#claimed + 1] = snapshot(id)
  end
end
local next = RC('ZRANGE', T .. 'due', 0, 0, 'WITHSCORES')
return { NOW, next[2] and math.max(0, tonumber(next[2]) - NOW) or -1, claimed }
