--[[ read: runs as they stand, each in one piece; one may be reserved, so that its own jobs do not move it on meanwhile.
  That is a field of the run, `reserved`: until when, ms of Redis's clock; the next commit ends it. Behind it none is
  granted for as long again, so that callers in a row do not keep a job from its end.
  KEYS[1]  any key of the shard (routing)
  ARGV[1]  P (unused here, as in the others)
  ARGV[2]  T, the shard's tag and a colon
  ARGV[3…] per run: its id; the id of an event, or ''; letters: f the history's first entry is wanted in any case, r the
           run is to be reserved for LIMITS.reserveMs
  Returns  per run { snapshot, answer that the event was given before or false, first entry or false }
  Cost     O(1) a run. ]]
local T = ARGV[2]
-- @include lib/clock
-- @constants
-- @include lib/snapshot

local replies = {}
for i = 3, #ARGV, 3 do
  local id, letters = ARGV[i], ARGV[i + 2]
  if string.find(letters, 'r', 1, true) then
    local rev, reserved = unpack(RC('HMGET', T .. 'run:' .. id, 'rev', 'reserved'))
    if rev and NOW - (tonumber(reserved or '') or 0) > RESERVE_MS then
      RC('HSET', T .. 'run:' .. id, 'reserved', string.format('%d', NOW + RESERVE_MS))
    end
  end
  replies[#replies + 1] = { snapshot(id), ARGV[i + 1] ~= '' and RC('HGET', T .. 'sent:' .. id, ARGV[i + 1]),
    string.find(letters, 'f', 1, true) and RC('LINDEX', T .. 'hist:' .. id, 0) }
end
return replies
