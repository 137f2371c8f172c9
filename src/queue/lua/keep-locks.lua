--[[ keep-locks: renews the locks of all jobs that one worker holds in a shard.
  KEYS[1]  any key of the shard (routing)
  ARGV[1]  P, the key prefix of the shard's BullMQ queue
  ARGV[2]  what the tokens of the worker's locks begin with
  ARGV[3]  how long a lock holds, ms
  Returns  how many locks were renewed
  Cost     O(active jobs of the shard, of all workers): for a worker that is blocked, not for each renewal.
  Crash    none or all of it; the locks run out. ]]
local P, owner, lock_ms = ARGV[1], ARGV[2], ARGV[3]
local kept = 0
for _, id in ipairs(redis.call('LRANGE', P .. 'active', 0, -1)) do
  local lock = P .. id .. ':lock'
  local token = redis.call('GET', lock)
  if token and string.sub(token, 1, #owner) == owner then
    redis.call('PEXPIRE', lock, lock_ms)
    redis.call('SREM', P .. 'stalled', id)
    kept = kept + 1
  end
end
return kept
