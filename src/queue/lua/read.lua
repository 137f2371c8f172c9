--[[ read: runs as they stand, each in one piece.
  KEYS[1]  any key of the shard (routing)
  ARGV[1]  P (unused here, as in the others)
  ARGV[2]  T, the shard's tag and a colon
  ARGV[3…] per run: its id; the id of an event, or ''; 'f' when the history's first entry is wanted in any case, or ''
  Returns  per run { snapshot, answer that the event was given before or false, first entry or false }
  Cost     O(1) a run. ]]
local T = ARGV[2]
local RC = redis.call
-- @include lib/snapshot

local replies = {}
for i = 3, #ARGV, 3 do
  local id = ARGV[i]
  replies[#replies + 1] = { snapshot(id), ARGV[i + 1] ~= '' and RC('HGET', T .. 'sent:' .. id, ARGV[i + 1]),
    ARGV[i + 2] ~= '' and RC('LINDEX', T .. 'hist:' .. id, 0) }
end
return replies
