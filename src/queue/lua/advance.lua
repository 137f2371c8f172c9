--[[ advance: commits that are no job's end: events, timers, controls.
  KEYS[1]  any key of the shard (routing)
  ARGV[1]  P, the key prefix of the shard's BullMQ queue
  ARGV[2]  T, the shard's tag and a colon
  ARGV[3…] commit blocks, options as JSON
  Returns  per block { code, seq, NOW, 1 when the history is full now }: 1 committed; -11 no such run; -10 the visit is over; -12 decided on an old seq;
           2 the event was sent before: its answer of then stands in place of the seq.
           A block that is not committed leaves every key as it was.
  Cost     O(1) a block.
  Crash    none or all of it. ]]
local P, T = ARGV[1], ARGV[2]
-- @include lib/clock
-- @constants
-- @bullmq addStandardJob addPrioritizedJob
-- @include lib/run-commit
-- @include lib/add-job

local replies, i = {}, 3
while i <= #ARGV do
  local c = read_commit(shape_of(ARGV[i]), i)
  i = i + c.shape.size
  local run, code, answer = check(c)
  if code == 0 then
    local seq, full = write_commit(c, run, add_job)
    replies[#replies + 1] = { 1, seq, NOW, full and 1 or 0 }
  else
    replies[#replies + 1] = { code, answer or run[SEQ] or '', NOW }
  end
end
flush_live()
return replies
