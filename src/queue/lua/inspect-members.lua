--[[ inspect-members: members of `due` or of an index of runs, with what their runs say, each in one piece.
  KEYS[1]  any key of the shard (routing)
  ARGV[1]  P (unused here, as in the others)
  ARGV[2]  T, the shard's tag and a colon
  ARGV[3]  key of the sorted set
  ARGV[4…] run ids
  Returns  per id { score or false, 1 when there is a run hash, 1 when there is a history, seq, status, proc, more, 1 when the
           run has a deadline }; false for a field that is missing
  Cost     O(log n) an id.
  Crash    it writes nothing. ]]
local T = ARGV[2]
local RC = redis.call

local replies = {}
for i = 4, #ARGV do
  local id = ARGV[i]
  local key = T .. 'run:' .. id
  local is_hash, f = pcall(RC, 'HMGET', key, 'seq', 'status', 'proc', 'more', 'zt', 'st', 'rt')
  if not is_hash then f = {} end
  replies[#replies + 1] = { RC('ZSCORE', ARGV[3], id), RC('EXISTS', key), RC('EXISTS', T .. 'hist:' .. id),
    f[1] or false, f[2] or false, f[3] or false, f[4] or false, (f[5] or f[6] or f[7]) and 1 or 0 }
end
return replies
