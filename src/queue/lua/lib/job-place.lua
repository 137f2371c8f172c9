-- Where a job stands in the queue:
--   locked | active     in the active list; locked: a worker holds it
--   wait | prioritized | delayed
--   unseen              its hash is there, and the waiting list too long to be looked through whole
--   ended               kept among the completed or failed ones
--   nowhere
-- The waiting list is looked through from its front on, for WAIT_LOOK jobs. Of a call that asks for many, the lists are read
-- once: 2 ms for 10,000 jobs, where each look for one takes 0.4.
local LOOKS_BEFORE_READING = 4
local looks, members = 0, nil

local function is_in(list, job_id, first)
  looks = looks + 1
  if looks <= LOOKS_BEFORE_READING and not members then
    if first == 0 then return RC('LPOS', P .. list, job_id) end
    return RC('LPOS', P .. list, job_id, 'RANK', -1, 'MAXLEN', WAIT_LOOK)
  end
  members = members or {}
  if not members[list] then
    members[list] = {}
    for _, member in ipairs(RC('LRANGE', P .. list, first, -1)) do members[list][member] = true end
  end
  return members[list][job_id]
end

local function place_of(job_id)
  local key = P .. job_id
  if is_in('active', job_id, 0) then return RC('EXISTS', key .. ':lock') == 1 and 'locked' or 'active' end
  if RC('ZSCORE', P .. 'delayed', job_id) then return 'delayed' end
  if RC('ZSCORE', P .. 'prioritized', job_id) then return 'prioritized' end
  if is_in('wait', job_id, -WAIT_LOOK) or is_in('paused', job_id, -WAIT_LOOK) then return 'wait' end
  if RC('ZSCORE', P .. 'completed', job_id) or RC('ZSCORE', P .. 'failed', job_id) then return 'ended' end
  local longest = math.max(RC('LLEN', P .. 'wait'), RC('LLEN', P .. 'paused'))
  return longest > WAIT_LOOK and RC('EXISTS', key) == 1 and 'unseen' or 'nowhere'
end

-- Takes a job out of whatever list it stands in, with its hash and its log.
local function remove_job(job_id)
  for _, list in ipairs({ 'wait', 'paused', 'active' }) do RC('LREM', P .. list, 0, job_id) end
  for _, set in ipairs({ 'delayed', 'prioritized', 'completed', 'failed' }) do RC('ZREM', P .. set, job_id) end
  RC('SREM', P .. 'stalled', job_id)
  RC('DEL', P .. job_id, P .. job_id .. ':logs')
end
