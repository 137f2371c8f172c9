-- Adds the job of a visit to the queue, as BullMQ does; its options are packed as BullMQ packs them.
local function add_job(c, job_id)
  local args = cmsgpack.pack({ P, job_id, c.job_name, NOW_S })
  if c.priority == '0' then
    bull_addStandardJob(keys_addStandardJob(job_id), { args, '{}', c.job_opts })
  else
    bull_addPrioritizedJob(keys_addPrioritizedJob(job_id), { args, '{}', c.job_opts })
  end
end
