-- Where a job stands in the queue:
--   locked | active     in the active list; locked: a worker holds it
--   wait | prioritized | delayed
--   unseen              its hash is there, and the waiting list too long to be looked through whole
--   ended               kept among the completed or failed ones
--   nowhere
-- The waiting list is looked through from its front on, for WAIT_LOOK jobs: 0.4 ms for 10,000.
local function place_of(job_id)
  local key = P .. job_id
  if RC('LPOS', P .. 'active', job_id) then return RC('EXISTS', key .. ':lock') == 1 and 'locked' or 'active' end
  if RC('ZSCORE', P .. 'delayed', job_id) then return 'delayed' end
  if RC('ZSCORE', P .. 'prioritized', job_id) then return 'prioritized' end
  if RC('LPOS', P .. 'wait', job_id, 'RANK', -1, 'MAXLEN', WAIT_LOOK) then return 'wait' end
  if RC('LPOS', P .. 'paused', job_id, 'RANK', -1, 'MAXLEN', WAIT_LOOK) then return 'wait' end
  if RC('ZSCORE', P .. 'completed', job_id) or RC('ZSCORE', P .. 'failed', job_id) then return 'ended' end
  local longest = math.max(RC('LLEN', P .. 'wait'), RC('LLEN', P .. 'paused'))
  return longest > tonumber(WAIT_LOOK) and RC('EXISTS', key) == 1 and 'unseen' or 'nowhere'
end

-- Takes a job out of whatever list it stands in, with its hash and its log.
local function remove_job(job_id)
  for _, list in ipairs({ 'wait', 'paused', 'active' }) do RC('LREM', P .. list, 0, job_id) end
  for _, set in ipairs({ 'delayed', 'prioritized', 'completed', 'failed' }) do RC('ZREM', P .. set, job_id) end
  RC('SREM', P .. 'stalled', job_id)
  RC('DEL', P .. job_id, P .. job_id .. ':logs')
end
