--[[ remove-orphan: takes away what stands behind no run, after having looked once more that it does not.
  KEYS[1]  any key of the shard (routing)
  ARGV[1]  P, the key prefix of the shard's BullMQ queue
  ARGV[2]  T, the shard's tag and a colon
  ARGV[3]  what: member (of a sorted set) | keys (what is left of a run) | job
  member   ARGV[4] key, ARGV[5] run id, ARGV[6] seq of the run that does not belong there; '' when there is no run
  keys     ARGV[4] run id
  job      ARGV[4] job id
  Returns  1 done; -12 it is not as it was when it was judged: nothing was changed
  Cost     O(log n); O(waiting jobs) for a job.
  Crash    none or all of it. ]]
local P, T = ARGV[1], ARGV[2]
-- @include lib/clock
-- @constants
-- @include lib/job-place

local what = ARGV[3]
if what == 'member' then
  local seq = RC('HGET', T .. 'run:' .. ARGV[5], 'seq') or ''
  if seq ~= ARGV[6] then return -12 end
  RC('ZREM', ARGV[4], ARGV[5])
elseif what == 'keys' then
  local id = ARGV[4]
  if RC('EXISTS', T .. 'run:' .. id) == 1 then return -12 end
  RC('DEL', T .. 'hist:' .. id, T .. 'ctx:' .. id, T .. 'sent:' .. id)
else
  local id, rev, seq = string.match(ARGV[4], '^(.+)%.(%d+)%.(%d+)$')
  local run = RC('HMGET', T .. 'run:' .. id, 'rev', 'job')
  if run[1] == rev and run[2] == seq then return -12 end
  if place_of(ARGV[4]) == 'locked' then return -12 end
  remove_job(ARGV[4])
end
return 1
