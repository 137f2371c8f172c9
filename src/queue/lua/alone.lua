--[[ alone: counts how often a suspect's action was begun as the only one of its process. A beginning that comes to its end,
  or that others are let in beside, is taken back; so what is there when the job is taken up again are crashes of its own.
  KEYS[1]  any key of the shard (routing)
  ARGV[1]  P, the key prefix of the shard's BullMQ queue
  ARGV[2]  T (unused here)
  ARGV[3]  job id
  ARGV[4]  lock token of the worker
  ARGV[5]  1 it begins; -1 that is taken back; 0 nothing, a look
  Returns  the count; -1 when the job is another worker's or gone, and nothing is written
  Cost     O(1).
  Crash    none or all of it. ]]
local key = ARGV[1] .. ARGV[3]
if redis.call('GET', key .. ':lock') ~= ARGV[4] or redis.call('EXISTS', key) == 0 then return -1 end
if ARGV[5] == '0' then return tonumber(redis.call('HGET', key, 'alone') or '0') end
return redis.call('HINCRBY', key, 'alone', ARGV[5])
