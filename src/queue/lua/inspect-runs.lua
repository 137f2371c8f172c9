--[[ inspect-runs: runs with all that belongs to each, in one piece: what `fsck` and the reconciler judge.
  KEYS[1]  any key of the shard (routing)
  ARGV[1]  P, the key prefix of the shard's BullMQ queue
  ARGV[2]  T, the shard's tag and a colon
  ARGV[3]  the statuses that there are, with a space between them
  ARGV[4…] run ids
  Returns  { NOW, reply per run }:
           { snapshot, length of the history, score in `due` or false, place of its current job, 1 when that has its hash,
             status, score of each status index that has it …, score in its procedure's index or false,
             tag, score or false of each of its tags … }
           text     an error of Redis's: a key of this run is of another type
  Cost     about 20 commands a run, and two looks at lists of jobs (see lib/job-place).
  Crash    it writes nothing. ]]
local P, T = ARGV[1], ARGV[2]
-- @include lib/clock
-- @constants
-- @include lib/snapshot
-- @include lib/job-place

local STATUSES = {}
for status in string.gmatch(ARGV[3], '%S+') do STATUSES[#STATUSES + 1] = status end

local function inspect(id)
  local snap = snapshot(id)
  RC('HLEN', T .. 'sent:' .. id) -- an error where it is no hash
  local fields = {}
  for k = 1, #snap[1], 2 do fields[snap[1][k]] = snap[1][k + 1] end
  local place, has_hash = '', 0
  if fields.job and fields.job ~= '' then
    local job_id = id .. '.' .. (fields.rev or '') .. '.' .. fields.job
    place, has_hash = place_of(job_id), RC('EXISTS', P .. job_id)
  end
  local statuses, tags = {}, {}
  for _, status in ipairs(STATUSES) do
    local score = RC('ZSCORE', T .. 'runs:status:' .. status, id)
    if score then
      statuses[#statuses + 1] = status
      statuses[#statuses + 1] = score
    end
  end
  -- Only read, never written back: what cjson does to numbers and empty arrays does not matter here.
  local ok, more = pcall(cjson.decode, fields.more and fields.more ~= '' and fields.more or '{}')
  if ok and type(more) == 'table' and type(more.tags) == 'table' then
    for _, tag in ipairs(more.tags) do
      tags[#tags + 1] = tostring(tag)
      tags[#tags + 1] = RC('ZSCORE', T .. 'runs:tag:' .. tostring(tag), id)
    end
  end
  return { snap, RC('LLEN', T .. 'hist:' .. id), RC('ZSCORE', T .. 'due', id), place, has_hash, statuses,
    RC('ZSCORE', T .. 'runs:procedure:' .. (fields.proc or ''), id), tags }
end

local replies = { NOW }
for i = 4, #ARGV do
  local ok, reply = pcall(inspect, ARGV[i])
  if not ok then reply = type(reply) == 'table' and reply.err or tostring(reply) end
  replies[#replies + 1] = reply
end
return replies
