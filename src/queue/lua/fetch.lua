--[[ fetch: BullMQ's moveToActive by Redis's clock, with the snapshot of the job's run.
  KEYS[1]  any key of the shard (routing)
  ARGV[1]  P, the key prefix of the shard's BullMQ queue
  ARGV[2]  T, the shard's tag and a colon
  ARGV[3…] arguments of BullMQ's script
  Returns  { reply of BullMQ's script with the snapshot as its [5], NOW }
  Cost     as BullMQ's script (it promotes up to 1,000 delayed jobs that are due).
  Crash    none or all of it; a worker that dies behind it leaves the job active until its lock runs out. ]]
local P, T = ARGV[1], ARGV[2]
-- @include lib/clock
-- @constants
-- @bullmq moveToActive
-- @include lib/snapshot

local bull = { unpack(ARGV, 3) }
bull[2] = NOW_S
return { with_snapshot(bull_moveToActive(keys_moveToActive(''), bull) or 0), NOW }
