-- Adds the job of a visit to the queue; its options are JSON. A usual job is added as BullMQ's addStandardJob would, less
-- what ours have no use for (parents, deduplication, a counter for ids, its event stream), at a third of the cost; one with
-- a priority, and any when BullMQ's own events are wanted, by BullMQ's own script.
local marked = false

local function mark()
  if marked then return end
  marked = true
  local held = RC('HMGET', P .. 'meta', 'paused', 'concurrency')
  if held[1] or (held[2] and RC('LLEN', P .. 'active') >= tonumber(held[2])) then return end
  RC('ZADD', P .. 'marker', '0', '0')
end

local function add_job(c, job_id)
  local s, name = c.shape, job_name(c)
  local opts = part_of(c, s.job_options)
  if QUIET and s.priority == '0' then
    RC('HSET', P .. job_id, 'name', name, 'data', '{}', 'opts', opts, 'timestamp', NOW_S, 'delay', '0', 'priority', '0')
    RC('LPUSH', P .. 'wait', job_id)
    return mark()
  end
  local args, options = cmsgpack.pack({ P, job_id, name, NOW_S }), cmsgpack.pack(cjson.decode(opts))
  if s.priority == '0' then
    bull_addStandardJob(keys_addStandardJob(job_id), { args, '{}', options })
  else
    bull_addPrioritizedJob(keys_addPrioritizedJob(job_id), { args, '{}', options })
  end
end
