--[[ repair-job: a live run's current job, which is in no list or has lost its hash, is enqueued anew for the same visit.
  KEYS[1]  any key of the shard (routing)
  ARGV[1]  P, the key prefix of the shard's BullMQ queue
  ARGV[2]  T, the shard's tag and a colon
  ARGV[3]  id of the job that is missing; '' for a run that has none and should
  ARGV[4…] one commit block, with the seq of the record that was judged, and the job
  Returns  1 done; -11 no such run; -12 it was written to since; -3 the job is there, or a worker holds it. Nothing was
           changed then.
  Cost     O(waiting jobs) where what is left of the job stands in a list.
  Crash    none or all of it. ]]
local P, T = ARGV[1], ARGV[2]
-- @include lib/clock
-- @constants
-- @bullmq addStandardJob addPrioritizedJob
-- @include lib/run-commit
-- @include lib/add-job
-- @include lib/job-place

local missing = ARGV[3]
local c = read_commit(shape_of(ARGV[4]), 4)
local run, code = check(c)
if code ~= 0 then return code end
local job = run[JOB] or ''
if job ~= '' and c.id .. '.' .. run[REV] .. '.' .. job ~= missing then return -12 end
if missing ~= '' then
  local place = place_of(missing)
  if place == 'locked' or place == 'unseen' then return -3 end
  if RC('EXISTS', P .. missing) == 1 and place ~= 'nowhere' and place ~= 'ended' then return -3 end
end
write_commit(c, run, add_job)
if missing ~= '' then remove_job(missing) end
flush_live()
return 1
