--[[ finish: a job leaves its worker, and the run moves with it: the job's end is the transition.
  KEYS[1]  any key of the shard (routing)
  ARGV[1]  P, the key prefix of the shard's BullMQ queue
  ARGV[2]  T, the shard's tag and a colon
  ARGV[3]  kind: completed | failed | delayed (a retry after a backoff) | retry (at once) | release (back to the queue)
  ARGV[4]  job id
  ARGV[5]  lock token of the worker
  ARGV[6]  how many arguments follow for BullMQ's own script, then these
  then     nothing (the run is not touched), or one commit block
  Returns  { 1, reply of BullMQ's script with the next job's snapshot as its [5], NOW }
           { -1 | -2 | -3 }          the job is gone, its lock is another's, it is not active: not ours any more.
                                     A lock that has run out and was taken by nobody is the worker's again: Redis was
                                     away for longer than it held, and no other worker could have taken it meanwhile
           { -10 | -11, snapshot }   the visit is over, the run is gone: end the job as stale
           { -12, snapshot }         the run was written to since: decide again on this
           In every negative case all keys are as before.
  Cost     O(active jobs of the shard) for two list scans, else O(1).
  Crash    none or all of it. ]]
local P, T = ARGV[1], ARGV[2]
-- @include lib/clock
-- @constants
-- @bullmq addStandardJob addPrioritizedJob moveToFinished moveToDelayed retryJob moveJobFromActiveToWait
-- @include lib/run-commit
-- @include lib/add-job
-- @include lib/snapshot

local kind, job_id, token = ARGV[3], ARGV[4], ARGV[5]
local n = tonumber(ARGV[6])
local bull = { unpack(ARGV, 7, 6 + n) }

-- BullMQ's scripts write before they look at the active list, so everything they could refuse is looked at here.
if RC('EXISTS', P .. job_id) == 0 then return { -1 } end
local lock = P .. job_id .. ':lock'
local holder = RC('GET', lock)
if holder and holder ~= token then return { -2 } end
if not RC('LPOS', P .. 'active', job_id) then return { -3 } end

-- BullMQ's scripts, below, want the lock there.
local function take_back()
  if not holder then RC('SET', lock, token, 'PX', 1000) end
end

if #ARGV > 6 + n then
  local c = read_commit(shape_of(ARGV[7 + n]), 7 + n)
  local run, code = check(c)
  if code ~= 0 then return { code, snapshot(c.id) } end
  take_back()
  write_commit(c, run, add_job)
  flush_live()
end

take_back()
if kind ~= 'release' then bull[2] = NOW_S end
local reply
if kind == 'completed' then
  reply = bull_moveToFinished(keys_moveToCompleted(job_id), bull)
elseif kind == 'failed' then
  reply = bull_moveToFinished(keys_moveToFailed(job_id), bull)
elseif kind == 'delayed' then
  reply = bull_moveToDelayed(keys_moveToDelayed(job_id), bull)
elseif kind == 'retry' then
  reply = bull_retryJob(keys_retryJob(job_id), bull)
else
  reply = bull_moveJobFromActiveToWait(keys_moveJobFromActiveToWait(job_id), bull)
  RC('HDEL', P .. job_id, 'alone') -- given back is no crash
end
return { 1, with_snapshot(reply or 0), NOW }
