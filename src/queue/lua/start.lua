--[[ start: begins runs, each atomically: record, first history entry, live event, indexes, deadline, first job.
  KEYS[1]  any key of the shard (routing)
  ARGV[1]  P, the key prefix of the shard's BullMQ queue
  ARGV[2]  T, the shard's tag and a colon
  ARGV[3…] per run: procedure name, version, input fingerprint, number of tags, the tags, then its first commit block
  Returns  per run { code, fingerprint, version, NOW }: 1 begun; 0 the id is taken, by a run with this fingerprint and
           version; -13 the version is deactivated. A run that is not begun leaves every key as it was.
  Cost     O(1) a run, 12 to 40 Redis commands.
  Crash    none or all of it, for every run of the call. ]]
local P, T = ARGV[1], ARGV[2]
-- @include lib/clock
-- @constants
-- @bullmq addStandardJob addPrioritizedJob
-- @include lib/run-commit
-- @include lib/add-job

local replies, i = {}, 3
while i <= #ARGV do
  local name, version, fingerprint = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local n = tonumber(ARGV[i + 3])
  local tags = { unpack(ARGV, i + 4, i + 3 + n) }
  i = i + 4 + n
  local c = read_commit(shape_of(ARGV[i]), i)
  i = i + c.shape.size
  local key = T .. 'run:' .. c.id
  if RC('EXISTS', key) == 1 then
    local was = RC('HMGET', key, 'input', 'ver')
    replies[#replies + 1] = { 0, was[1] or '', was[2] or '', NOW }
  elseif RC('SISMEMBER', T .. 'inactive', name .. '@' .. version) == 1 then
    replies[#replies + 1] = { -13, '', '', NOW }
  else
    -- What every transition writes comes first: Redis looks through a small hash from its beginning.
    local begins = { 'seq', '0', 'rev', '0', 'job', '', 'reserved', '', 'state', '', 'te', NOW_S, 'status', '', 'v', RUN_FORMAT, 'proc', name,
      'ver', version, 't0', NOW_S, 'input', fingerprint }
    local run = { '0', '', '0', false, t0 = NOW_S, timers = {}, left = {} }
    write_commit(c, run, add_job, begins)
    RC('ZADD', T .. 'runs:procedure:' .. name, NOW_S, c.id)
    for _, tag in ipairs(tags) do RC('ZADD', T .. 'runs:tag:' .. tag, NOW_S, c.id) end
    replies[#replies + 1] = { 1, fingerprint, version, NOW }
  end
end
flush_live()
return replies
