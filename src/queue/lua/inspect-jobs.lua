--[[ inspect-jobs: jobs, where they stand, and the runs that they are for, each in one piece.
  KEYS[1]  any key of the shard (routing)
  ARGV[1]  P, the key prefix of the shard's BullMQ queue
  ARGV[2]  T, the shard's tag and a colon
  ARGV[3]  stale: where a run's current job stands is not asked for, and replied as ''; all: it is
  ARGV[4…] job ids, `<run id>.<revision>.<seq>`
  Returns  per job { place, 1 when it has its hash, 1 when its run is there, 1 when it is the run's current job }
  Cost     O(1) a job, but for two looks at lists of jobs (see lib/job-place).
  Crash    it writes nothing. ]]
local P, T = ARGV[1], ARGV[2]
-- @include lib/clock
-- @constants
-- @include lib/job-place

local replies = {}
for i = 4, #ARGV do
  local id, rev, seq = string.match(ARGV[i], '^(.+)%.(%d+)%.(%d+)$')
  local is_hash, run = pcall(RC, 'HMGET', T .. 'run:' .. id, 'rev', 'job')
  if not is_hash then run = { true } end
  local is_current = run[1] == rev and run[2] == seq
  local place = is_current and ARGV[3] == 'stale' and '' or place_of(ARGV[i])
  replies[#replies + 1] = { place, RC('EXISTS', P .. ARGV[i]), run[1] and 1 or 0, is_current and 1 or 0 }
end
return replies
