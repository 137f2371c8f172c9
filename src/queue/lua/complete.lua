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
  ARGV[6…] per job: one text of its lock token, its attempts, this one included, and flags (y: its run gives way to waiting
           ones; l: the lock is set anew for the next job, not passed on; c: its hash holds nothing that a failed or lost
           attempt has left; o: the next job has the same options); then a commit block, with options as JSON
  Returns  { NOW, reply per job }:
           0                         refused
           1 | 2                     the run's next job is active in this slot; 2: its history is full
           { job, id, 0, 0, snap }   the run has no next job; this one was fetched, as BullMQ's fetch replies
           { 0, 0, 0, at }           nothing is waiting; the next delayed job is due at this time (0 none)
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
RC('SETRANGE', T .. 'memory', 0, '')

-- A queue that is paused or limited: BullMQ's own script knows what to do.
local held = RC('HMGET', P .. 'meta', 'paused', 'concurrency', 'max')
local restrained = held[1] or held[2] or held[3]

local function next_delayed()
  local first = RC('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
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
local room = KEEP - RC('ZCARD', COMPLETED)
if KEEP > 0 and room < COMPLETED_KEPT_PER_CALL then room = COMPLETED_KEPT_PER_CALL end

local activated, left, obsolete, kept, fetched = {}, {}, {}, {}, false

-- The next job of a run becomes the active one of its slot. Where the last one is not kept, its hash and its lock become
-- the next one's: they are in place, and a command less each.
local function activate(item, job_id, keeps)
  local c, key = item.c, P .. job_id
  if item.clean and not keeps then
    RC('RENAME', item.key, key)
    if item.same_options then
      RC('HSET', key, 'name', c.job_name, 'timestamp', NOW_S, 'processedOn', NOW_S)
    else
      RC('HSET', key, 'name', c.job_name, 'opts', c.job_opts, 'timestamp', NOW_S, 'processedOn', NOW_S)
    end
  else
    local opts = item.same_options and RC('HGET', item.key, 'opts') or c.job_opts
    RC('HSET', key, 'name', c.job_name, 'data', '{}', 'opts', opts, 'timestamp', NOW_S, 'delay', '0', 'priority', '0',
      'processedOn', NOW_S, 'ats', '1', 'pb', WORKER)
  end
  if item.renews_lock then
    RC('SET', key .. ':lock', item.token, 'PX', LOCK_MS)
  else
    RC('RENAME', item.key .. ':lock', key .. ':lock')
  end
  activated[#activated + 1] = job_id
end

-- The job that has ended: kept for Bull Board, or removed. Locks and hashes go with all the others of this call.
local function retire(item, keeps)
  left[#left + 1] = item.job_id
  if not item.c.job_name or item.renews_lock then obsolete[#obsolete + 1] = item.key .. ':lock' end
  if keeps then
    RC('HSET', item.key, 'returnvalue', 'null', 'finishedOn', NOW_S, 'atm', item.attempts)
    kept[#kept + 1] = NOW_S
    kept[#kept + 1] = item.job_id
  elseif not (item.clean and item.c.job_name) then
    obsolete[#obsolete + 1] = item.key
    obsolete[#obsolete + 1] = item.key .. ':logs'
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
  RC('HSET', key, 'processedOn', NOW_S, 'pb', WORKER)
  RC('HINCRBY', key, 'ats', 1)
  return { RC('HGETALL', key), job_id, 0, 0, snapshot(string.match(job_id, '^(.+)%.%d+%.%d+$') or '') }
end

-- The same call once more, when the connection was lost after it had been carried out: the run stands at the very job that
-- this one made, in the very slot.
local function is_done_before(c, token)
  if not c.job_name then return false end
  local run = RC('HMGET', T .. 'run:' .. c.id, 'rev', 'job')
  if not run[2] or run[1] ~= string.format('%d', c.rev + c.visits) then return false end
  return RC('GET', P .. c.id .. '.' .. run[1] .. '.' .. run[2] .. ':lock') == token
end

local function complete(item, lock)
  local c, token = item.c, item.token
  if lock ~= token then return is_done_before(c, token) and 1 or 0 end
  local run, code = check(c)
  if code ~= 0 or restrained then return 0 end
  if c.job_name then
    if item.gives_way and others_wait() then return 0 end
  elseif is_delayed_due() then
    return 0
  end
  if RC('LREM', ACTIVE, -1, item.job_id) == 0 then return 0 end
  local keeps = #kept < room * 2
  local _, full = write_commit(c, run, function(_, job_id) activate(item, job_id, keeps) end)
  retire(item, keeps)
  if not c.job_name then return fetch(token) end
  return full and 2 or 1
end

local items, lock_keys, i = {}, {}, 6
while i <= #ARGV do
  local token, attempts, flags = string.match(ARGV[i], '^(%S+) (%d+) ?(.*)$')
  local c
  c, i = read_commit(i + 1)
  local job_id = c.id .. '.' .. c.rev .. '.' .. c.job
  local n = #items + 1
  items[n] = { c = c, token = token, attempts = attempts, job_id = job_id, key = P .. job_id,
    gives_way = string.find(flags, 'y', 1, true), renews_lock = string.find(flags, 'l', 1, true),
    clean = string.find(flags, 'c', 1, true), same_options = string.find(flags, 'o', 1, true) }
  lock_keys[n] = P .. job_id .. ':lock'
end
local held_by = RC('MGET', unpack(lock_keys))
local replies = { NOW }
for k = 1, #items do replies[k + 1] = complete(items[k], held_by[k]) end

flush_live()
if #activated > 0 then RC('LPUSH', ACTIVE, unpack(activated)) end
if #left > 0 then RC('SREM', P .. 'stalled', unpack(left)) end
if #obsolete > 0 then RC('DEL', unpack(obsolete)) end
if #kept > 0 then
  RC('ZADD', COMPLETED, unpack(kept))
  local surplus = math.min(RC('ZCARD', COMPLETED) - KEEP, 1000)
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
