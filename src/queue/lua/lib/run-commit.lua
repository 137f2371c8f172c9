-- One commit to one run: parse, check, write. Nothing here looks inside user JSON.
--
-- The block of arguments, as commit-block.ts lays it out:
--   id            run id
--   flags         letters: b bound to a visit (compare rev and job); e the run ends; i answers an event with an id;
--                 j enqueue a job for the visit
--   rev, job      the visit that a bound commit belongs to: revision, and the seq that enqueued its job ('' none)
--   seq           the seq this was decided on; '' for an entry that changes nothing else and so needs no comparison
--   status        status after the commit; '' unchanged
--   zt, st, rt    deadlines of sleep, state and run: '' keep, '-' disarm, 'p' stop and keep what is left, 'r' arm what
--                 was left, else ms from now
--   supersedes    job id that this makes obsolete and, behind a space, the word for why; or ''
--   visits        how many visits begin, one after the other: the revision grows by that
--   n, then n     field, value, ... written to the run hash
--   n, then n     fields removed from the run hash
--   n, then n     entry, live: history entry and live event as JSON objects without at and seq; live '' = as the entry
--   with flag j   job name, BullMQ options (msgpack), priority ('0' none)
--   with flag i   event id, and the answer that the event is given now and whenever it is sent again
--
-- A crash leaves nothing half done: Redis runs a script to its end. Lua does not roll back, so every check stands
-- before the first write, and the first write (HSET) is one that Redis refuses when it is out of memory.

local TIMERS = { 'zt', 'st', 'rt' }
-- What was left of a deadline when the run was paused, ms. A sleep is not stopped.
local LEFT = { false, 'sl', 'rl' }

-- Reads a block from ARGV[i] on; returns it and the index behind it.
local function read_commit(i)
  local c = { id = ARGV[i], flags = ARGV[i + 1], rev = ARGV[i + 2], job = ARGV[i + 3], seq = ARGV[i + 4],
    status = ARGV[i + 5], timers = { ARGV[i + 6], ARGV[i + 7], ARGV[i + 8] }, supersedes = ARGV[i + 9], visits = tonumber(ARGV[i + 10]) }
  i = i + 11
  for _, part in ipairs({ 'set', 'del', 'entries' }) do
    local n = tonumber(ARGV[i])
    c[part] = { unpack(ARGV, i + 1, i + n) }
    i = i + n + 1
  end
  c.bound = string.find(c.flags, 'b', 1, true)
  c.ends = string.find(c.flags, 'e', 1, true)
  if string.find(c.flags, 'j', 1, true) then
    c.add = { name = ARGV[i], opts = ARGV[i + 1], priority = ARGV[i + 2] }
    i = i + 3
  end
  if string.find(c.flags, 'i', 1, true) then
    c.event_id, c.answer = ARGV[i], ARGV[i + 1]
    i = i + 2
  end
  return c, i
end

-- The run as the commit finds it, and a code: 0 go on, -11 no such run, -10 the visit is over, -12 decided on an old seq;
-- 2 an event that was answered before, with that answer as the third value.
local function check(c)
  local f = RC('HMGET', T .. 'run:' .. c.id, 'rev', 'job', 'seq', 'status', 't0', 'zt', 'st', 'rt', 'proc', 'ver', 't1',
    'sl', 'rl')
  local run = { rev = f[1], job = f[2] or '', seq = f[3], status = f[4], t0 = f[5], timers = { f[6], f[7], f[8] },
    proc = f[9], ver = f[10], t1 = f[11], left = { false, f[12], f[13] } }
  if not run.rev then return run, -11 end
  local answer = c.event_id and RC('HGET', T .. 'sent:' .. c.id, c.event_id)
  if answer then return run, 2, answer end
  if c.bound and (run.rev ~= c.rev or run.job ~= c.job) then return run, -10 end
  if c.seq ~= '' and run.seq ~= c.seq then return run, -12 end
  return run, 0
end

-- New deadlines into the fields to set or remove, and the earliest of all into `due`. Returns whether sweepers are to be
-- woken: they look again within a second by themselves.
local function write_timers(c, run, set, del)
  local earliest, had, changed
  for k, field in ipairs(TIMERS) do
    local old, left, new = run.timers[k], run.left[k], c.timers[k]
    if old then had = true end
    local at, keep = old, left
    if new == '-' then
      at, keep = nil, nil
    elseif new == 'p' then
      if old then at, keep = nil, string.format('%d', math.max(0, tonumber(old) - NOW)) end
    elseif new == 'r' then
      if left then at, keep = string.format('%d', NOW + tonumber(left)), nil end
    elseif new ~= '' then
      at, keep = string.format('%d', NOW + tonumber(new)), nil
    end
    if at ~= old then
      changed = true
      if at then set[#set + 1] = field set[#set + 1] = at else del[#del + 1] = field end
    end
    if LEFT[k] and keep ~= left then
      if keep then set[#set + 1] = LEFT[k] set[#set + 1] = keep else del[#del + 1] = LEFT[k] end
    end
    if at and (not earliest or tonumber(at) < tonumber(earliest)) then earliest = at end
  end
  if not changed then return nil end
  return earliest or (had and '-') or nil
end

local function write_due(c, due)
  if not due then return end
  if due == '-' then RC('ZREM', T .. 'due', c.id) return end
  RC('ZADD', T .. 'due', due, c.id)
  if tonumber(due) - NOW < SWEEP_MS and RC('ZRANGE', T .. 'due', 0, 0)[1] == c.id then RC('PUBLISH', T .. 'wake', due) end
end

-- Entries into the history, and as one record into the live stream.
local function write_entries(c, run, seq)
  local stamp = '{"at":' .. NOW_S .. ',"seq":' .. seq .. ','
  local entries, live = {}, { 'r', c.id, 'p', run.proc .. '@' .. run.ver }
  for k = 1, #c.entries, 2 do
    local entry = stamp .. string.sub(c.entries[k], 2)
    entries[#entries + 1] = entry
    live[#live + 1] = 'd'
    live[#live + 1] = c.entries[k + 1] == '' and entry or stamp .. string.sub(c.entries[k + 1], 2)
  end
  local length = RC('RPUSH', T .. 'hist:' .. c.id, unpack(entries))
  if length >= HISTORY_FULL_AT then RC('HSET', T .. 'run:' .. c.id, 'full', '1') end
  RC('XADD', T .. 'events', 'MAXLEN', '~', LIVE_STREAM_ENTRIES, '*', unpack(live))
end

-- The job of a visit that somebody else than that job ended. Running: told to stop, and why; it will find itself stale.
-- Backing off: removed. Waiting: left alone, it will find itself stale (a removal costs O(queue), and deleting only its
-- hash would have the fetch recreate it empty).
local function supersede(job_and_reason)
  local job_id = string.match(job_and_reason, '^%S+')
  local key = P .. job_id
  if RC('EXISTS', key .. ':lock') == 1 then
    RC('PUBLISH', T .. 'abort', job_and_reason)
  elseif RC('ZREM', P .. 'delayed', job_id) == 1 then
    RC('DEL', key, key .. ':logs')
  end
end

local function add_job(c, run_rev, seq)
  local job_id = c.id .. '.' .. run_rev .. '.' .. seq
  local args = cmsgpack.pack({ P, job_id, c.add.name, NOW_S })
  if c.add.priority == '0' then
    bull_addStandardJob(keys_addStandardJob(job_id), { args, '{}', c.add.opts })
  else
    bull_addPrioritizedJob(keys_addPrioritizedJob(job_id), { args, '{}', c.add.opts })
  end
end

-- Writes a commit that `check` let through. Returns the run's new seq.
local function write_commit(c, run)
  local key = T .. 'run:' .. c.id
  local seq = string.format('%d', tonumber(run.seq) + 1)
  local set, del = c.set, c.del
  set[#set + 1] = 'seq' set[#set + 1] = seq
  if c.visits > 0 then set[#set + 1] = 'te' set[#set + 1] = NOW_S end
  if c.ends then set[#set + 1] = 't1' set[#set + 1] = NOW_S
  elseif run.t1 and c.status ~= '' then del[#del + 1] = 't1' end
  local rev = run.rev
  if c.visits > 0 then
    rev = string.format('%d', tonumber(run.rev) + c.visits)
    set[#set + 1] = 'rev' set[#set + 1] = rev
  end
  if c.add then set[#set + 1] = 'job' set[#set + 1] = seq end
  if c.status ~= '' then set[#set + 1] = 'status' set[#set + 1] = c.status end
  local due = write_timers(c, run, set, del)
  RC('HSET', key, unpack(set))
  if #del > 0 then RC('HDEL', key, unpack(del)) end
  write_due(c, due)
  write_entries(c, run, seq)
  if c.status ~= '' and c.status ~= run.status then
    if run.status then RC('ZREM', T .. 'runs:status:' .. run.status, c.id) end
    RC('ZADD', T .. 'runs:status:' .. c.status, run.t0, c.id)
  end
  if c.event_id then RC('HSET', T .. 'sent:' .. c.id, c.event_id, c.answer) end
  if c.supersedes ~= '' then supersede(c.supersedes) end
  if c.add then add_job(c, rev, seq) end
  return seq
end
