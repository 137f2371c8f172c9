--[[ complete: jobs whose actions have ended well leave their workers, many in one call, each with its run's transition.
  This is the sticky path. The next job of the same run becomes the active job of the same slot at once: it has a hash, a
  lock and a place in the active list like any other, and is recovered like any other when its worker dies; only the way
  through the waiting list is left out. A run that has no next job leaves its slot to the next waiting one.
  What this path does not do itself it refuses, writing nothing: the caller then ends that job by `finish`, the plain path.
  KEYS[1]  any key of the shard (routing)
  ARGV[1]  P, the key prefix of the shard's BullMQ queue
  ARGV[2]  T, the shard's tag and a colon
  ARGV[3]  how long a lock holds, ms
  ARGV[4]  how many completed jobs are kept
  ARGV[5]  name of the worker
  ARGV[6…] per job a commit block, with options as JSON and these further flags: w the run gives way to waiting ones; n the
           lock is set anew for the next job, not passed on; h the job's hash holds nothing that a failed or lost attempt
           has left. Its attempts are those of the job, this one included; the rest
           of its header is the job's lock token.
  Returns  { NOW, reply per job }:
           0                         refused
           1 | 2                     the run's next job is active in this slot; 2: its history is full
           { json }                  the run has no next job; another was fetched: [job, id, 0, 0, snapshot], as BullMQ's
                                     fetch replies, in one text, which Node reads at a fraction of the price
           { 0, 0, 0, at }           nothing is waiting; the next delayed job is due at this time (0 none)
           text                      an error of Redis's: a key of this run is not what it should be
  Cost     O(active jobs of the shard) for one list scan a job, else O(1).
  Crash    none or all of it. ]]
local P, T = ARGV[1], ARGV[2]
-- @include lib/clock
-- @constants
-- @include lib/run-commit
-- @include lib/snapshot

local LOCK_MS, KEEP, WORKER = ARGV[3], tonumber(ARGV[4]), ARGV[5]
local WAIT, ACTIVE, PRIORITIZED, DELAYED, COMPLETED = P .. 'wait', P .. 'active', P .. 'prioritized', P .. 'delayed', P .. 'completed'

-- Every check of this script comes before the first write of its job; a Redis that is out of memory refuses here.
RC('SETRANGE', T .. 'memory', '0', '')

-- A queue that is paused or limited: BullMQ's own script knows what to do.
local held = RC('HMGET', P .. 'meta', 'paused', 'concurrency', 'max')
local restrained = held[1] or held[2] or held[3]

local function next_delayed()
  local first = RC('ZRANGE', DELAYED, '0', '0', 'WITHSCORES')
  return first[2] and tonumber(first[2]) / 4096
end

-- Delayed jobs that are due are moved by BullMQ's own script only.
local delayed_due
local function is_delayed_due()
  if delayed_due == nil then
    local at = next_delayed()
    delayed_due = at ~= nil and at < NOW + 1
  end
  return delayed_due
end

local function others_wait()
  return RC('EXISTS', WAIT, PRIORITIZED) > 0 or is_delayed_due()
end

-- Bull Board's list is kept full of recent jobs, but a call that ends many does not write them all into a list that would
-- drop most of them again at once: once the list is full, each call adds a few.
local listed = KEEP > 0 and RC('ZCARD', COMPLETED) or 0
local room = KEEP - listed
if KEEP > 0 and room < COMPLETED_KEPT_PER_CALL then room = COMPLETED_KEPT_PER_CALL end

-- Jobs that BullMQ's look for stalled ones has marked, which is once in a while.
local marked = RC('EXISTS', P .. 'stalled') == 1

local activated, left, obsolete, kept, fetched = {}, {}, {}, {}, false

-- What this script wants to know of a shape, besides; once for each.
local function extended(s)
  if s.extended then return s end
  local function has(letter) return find(s.flags, letter, 1, true) ~= nil end
  s.extended, s.gives_way, s.renews_lock, s.clean = true, has('w'), has('n'), has('h')
  s.plain = s.usual and s.clean and not s.job_options and not s.gives_way and not s.renews_lock
  return s
end

-- The next job of a run becomes the active one of its slot. The lock becomes the next one's, and so does the hash where the
-- last job is not kept (see `pass_hash`): they are in place, and a command less each.
local function activate(c, job_id)
  local s, key = c.shape, c.passed_to or P .. job_id
  local name = job_name(c)
  if c.passed_to then
    if not s.job_options then
      RC('HSET', key, 'name', name, 'timestamp', NOW_S, 'processedOn', NOW_S)
    else
      RC('HSET', key, 'name', name, 'opts', part_of(c, s.job_options), 'timestamp', NOW_S, 'processedOn', NOW_S)
    end
  else
    local opts = s.job_options and part_of(c, s.job_options) or RC('HGET', c.job_key, 'opts')
    RC('HSET', key, 'name', name, 'data', '{}', 'opts', opts, 'timestamp', NOW_S, 'delay', '0', 'priority', '0',
      'processedOn', NOW_S, 'ats', '1', 'pb', WORKER)
  end
  if s.renews_lock then
    RC('SET', key .. ':lock', c.rest, 'PX', LOCK_MS)
    obsolete[#obsolete + 1] = c.lock_key
  else
    RC('RENAME', c.lock_key, key .. ':lock')
  end
  activated[#activated + 1] = job_id
end

-- The job that has ended: kept for Bull Board, or removed with all the others of this call.
local function retire(c)
  local s = c.shape
  if marked then left[#left + 1] = c.job_id end
  if not s.has_job then obsolete[#obsolete + 1] = c.lock_key end
  if c.keeps then
    RC('HSET', c.job_key, 'returnvalue', 'null', 'finishedOn', NOW_S, 'atm', s.attempts)
    kept[#kept + 1] = NOW_S
    kept[#kept + 1] = c.job_id
  elseif not c.passed_to then
    obsolete[#obsolete + 1] = c.job_key
    if not s.clean then obsolete[#obsolete + 1] = c.job_key .. ':logs' end
  end
end

-- The next waiting job for a slot whose run has none, as BullMQ's fetch would give it.
local function fetch(token)
  fetched = true
  local job_id = RC('RPOPLPUSH', WAIT, ACTIVE)
  if not job_id then
    job_id = RC('ZPOPMIN', PRIORITIZED)[1]
    if not job_id then
      RC('DEL', P .. 'pc')
      return { 0, 0, 0, next_delayed() or 0 }
    end
    RC('LPUSH', ACTIVE, job_id)
  end
  local key = P .. job_id
  RC('SET', key .. ':lock', token, 'PX', LOCK_MS)
  local job, starts = RC('HGETALL', key), '1'
  local n = #job
  for k = 1, n, 2 do
    if job[k] == 'ats' then starts = string.format('%d', job[k + 1] + 1) end
  end
  RC('HSET', key, 'processedOn', NOW_S, 'pb', WORKER, 'ats', starts)
  -- Of a field that stands there twice, the later one counts.
  job[n + 1], job[n + 2], job[n + 3], job[n + 4], job[n + 5], job[n + 6] = 'processedOn', NOW_S, 'pb', WORKER, 'ats', starts
  local run_id = match(job_id, '^(.+)%.%d+%.%d+$')
  local snap = run_id and snapshot(run_id)
  if snap then snap[2], snap[3] = snap[2] or cjson.null, snap[3] or cjson.null end
  return { cjson.encode({ job, job_id, 0, 0, snap or cjson.null }) }
end

-- The same call once more, when the connection was lost after it had been carried out: the run stands at the very job that
-- this one made, in the very slot.
local function is_done_before(c)
  if not c.shape.has_job then return false end
  local run = RC('HMGET', c.run_key, 'rev', 'job', 'full')
  if not run[2] or run[1] ~= c.next_rev then return false end
  return RC('GET', P .. c.id .. '.' .. run[1] .. '.' .. run[2] .. ':lock') == c.rest and (run[3] and 2 or 1)
end

-- Makes the job's hash the next job's; whether it was there. Comes before all other writes, so that it can be refused.
local function pass_hash(c)
  local key = P .. c.id .. '.' .. c.next_rev .. '.' .. c.next_seq
  if redis.pcall('RENAME', c.job_key, key).err then return false end
  c.passed_to = key
  return true
end

-- Undoes what was done to the job before its run was written to.
local function give_back(c)
  if c.removed then RC('LPUSH', ACTIVE, c.job_id) end
  if c.passed_to then RC('RENAME', c.passed_to, c.job_key) end
end

local function complete(c)
  local s = c.shape
  c.job_id = c.id .. '.' .. c.rev .. '.' .. c.job
  c.job_key = P .. c.job_id
  c.lock_key = c.job_key .. ':lock'
  if RC('GET', c.lock_key) ~= c.rest then return is_done_before(c) or 0 end
  local run, code = check(c)
  if code ~= 0 or restrained then return 0 end
  if s.has_job then
    if s.gives_way and others_wait() then return 0 end
  elseif is_delayed_due() then
    return 0
  end
  c.keeps = #kept < room * 2
  if s.has_job and s.clean and not c.keeps then
    if not pass_hash(c) then return 0 end
  elseif RC('EXISTS', c.job_key) == 0 then
    return 0
  end
  if RC('LREM', ACTIVE, '-1', c.job_id) == 0 then
    give_back(c)
    return 0
  end
  c.removed = true
  local _, full = write_commit(c, run, activate)
  retire(c)
  if not s.has_job then return fetch(c.rest) end
  return full and 2 or 1
end

-- The same for a job like most, written out at half the price: its run moves into the next state, its hash and its lock
-- become the next job's. False, and nothing written, where anything is not as it expects; `complete` then looks closer.
local function complete_usual(s, i)
  local id, rev, job, seq, next_seq, next_rev, token = match(ARGV[i + 1], HEADER)
  local job_id, next_id = id .. '.' .. rev .. '.' .. job, id .. '.' .. next_rev .. '.' .. next_seq
  local job_key, next_key, run_key = P .. job_id, P .. next_id, T .. 'run:' .. id
  if RC('GET', job_key .. ':lock') ~= token then return false end
  local run = redis.pcall('HMGET', run_key, 'rev', 'job', 'seq', 'reserved')
  if run[REV] ~= rev or run[JOB] ~= job or run[SEQ] ~= seq or run[RESERVED] ~= '' then return false end
  if redis.pcall('RENAME', job_key, next_key).err then return false end
  local entry, procedure, state = ENTRY .. next_seq .. ',' .. ARGV[i + 4], ARGV[i + 2], ARGV[i + 3]
  local length = RC('LREM', ACTIVE, '-1', job_id) == 1 and redis.pcall('RPUSH', T .. 'hist:' .. id, entry)
  if type(length) ~= 'number' then
    if length then RC('LPUSH', ACTIVE, job_id) end
    RC('RENAME', next_key, job_key)
    return false
  end
  RC('HSET', run_key, 'seq', next_seq, 'rev', next_rev, 'job', next_seq, 'state', state, 'te', NOW_S)
  begin_live(id, procedure)
  add_live(entry)
  RC('HSET', next_key, 'name', procedure .. ' ' .. state, 'timestamp', NOW_S, 'processedOn', NOW_S)
  RC('RENAME', job_key .. ':lock', next_key .. ':lock')
  activated[#activated + 1] = next_id
  if marked then left[#left + 1] = job_id end
  if length < HISTORY_FULL_AT then return 1 end
  RC('HSET', run_key, 'full', '1')
  return 2
end

-- Ends the job of the block at `i`; returns the reply to it.
local function complete_at(s, i)
  local done = s.plain and #kept >= room * 2 and not restrained and complete_usual(s, i)
  if done then return done end
  local c = read_commit(s, i)
  -- What is broken in one run must not strand the others of this call: their next jobs are listed behind the loop.
  local ok, reply = pcall(complete, c)
  if ok then return reply end
  give_back(c)
  return type(reply) == 'table' and reply.err or tostring(reply)
end

local replies, i, n = { NOW }, 6, #ARGV
while i <= n do
  local s = extended(shape_of(ARGV[i]))
  replies[#replies + 1] = complete_at(s, i)
  i = i + s.size
end

flush_live()
if #activated > 0 then RC('LPUSH', ACTIVE, unpack(activated)) end
if #left > 0 then RC('SREM', P .. 'stalled', unpack(left)) end
if #obsolete > 0 then RC('DEL', unpack(obsolete)) end
if #kept > 0 then
  local surplus = math.min(listed + RC('ZADD', COMPLETED, unpack(kept)) - KEEP, 1000)
  if surplus > 0 then
    local oldest, keys = RC('ZPOPMIN', COMPLETED, surplus), {}
    for k = 1, #oldest, 2 do
      keys[#keys + 1] = P .. oldest[k]
      keys[#keys + 1] = P .. oldest[k] .. ':logs'
    end
    RC('DEL', unpack(keys))
  end
end
-- Workers that wait for jobs are woken by this marker, as after each of BullMQ's fetches; without jobs it would wake them
-- for nothing.
if fetched then
  if RC('EXISTS', WAIT, PRIORITIZED) > 0 then RC('ZADD', P .. 'marker', '0', '0') else RC('ZREM', P .. 'marker', '0') end
end
return replies
