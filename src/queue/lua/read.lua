--[[ read: runs as they stand, each in one piece; one may be held meanwhile, so that its own jobs do not move it on.
  A hold is a field of the run, `hold`, ms of Redis's clock, that the next commit empties.
  KEYS[1]  any key of the shard (routing)
  ARGV[1]  P (unused here, as in the others)
  ARGV[2]  T, the shard's tag and a colon
  ARGV[3…] per run: its id; the id of an event, or ''; letters: f the history's first entry is wanted in any case, h the
           run is held for LIMITS.holdMs
  Returns  per run { snapshot, answer that the event was given before or false, first entry or false }
  Cost     O(1) a run. ]]
local T = ARGV[2]
-- @include lib/clock
-- @constants
-- @include lib/snapshot

local replies = {}
for i = 3, #ARGV, 3 do
  local id, letters = ARGV[i], ARGV[i + 2]
  if string.find(letters, 'h', 1, true) and RC('EXISTS', T .. 'run:' .. id) == 1 then
    RC('HSET', T .. 'run:' .. id, 'hold', string.format('%d', NOW + HOLD_MS))
  end
  replies[#replies + 1] = { snapshot(id), ARGV[i + 1] ~= '' and RC('HGET', T .. 'sent:' .. id, ARGV[i + 1]),
    string.find(letters, 'f', 1, true) and RC('LINDEX', T .. 'hist:' .. id, 0) }
end
return replies
