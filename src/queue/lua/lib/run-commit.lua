-- One commit to one run: parse, check, write. Nothing here looks inside user JSON.
--
-- The block of arguments, as commit-block.ts lays it out. First a header, words with a space between them (some empty):
--   id            run id
--   flags         letters: b bound to a visit (compare rev and job); e the run ends; j enqueue a job for the visit;
--                 k its status and start are known, and that it lives and has no deadlines; i answers an event with an
--                 id; c the context changes; l live events differ from their entries
--   rev, job      the visit that a bound commit belongs to: revision, and the seq that enqueued its job ('' none)
--   seq           the seq this was decided on; '' for an entry that changes nothing else and so needs no comparison
--   status        status after the commit; '' unchanged
--   zt, st, rt    deadlines of sleep, state and run: '' keep, '-' disarm, 'p' stop and keep what is left, 'r' arm what
--                 was left, else ms from now
--   visits        how many visits begin, one after the other: the revision grows by that
--   priority      of the job, as BullMQ counts ('0' none)
--   sets, entries   how many of each follow
--   the rest      job id that this makes obsolete and, behind a space, the word for why; or what the script takes it for
-- then procedure@version, and the arguments that the header counts or flags:
--   sets          field, value, ... written to the run hash; an empty value is none
--   entries       history entries as JSON objects without at and seq; with flag l behind each its live event, '' = the same
--   with flag k   its status and start
--   with flag c   the context
--   with flag j   job name, options as JSON
--   with flag i   event id, and the answer that the event is given now and whenever it is sent again
--
-- A crash leaves nothing half done: Redis runs a script to its end. Lua does not roll back, so every check stands
-- before the first write, and the first write (HSET) is one that Redis refuses when it is out of memory.

local match, find, sub = string.match, string.find, string.sub
local TIMERS = { 'zt', 'st', 'rt' }
-- What was left of a deadline when the run was paused, ms. A sleep is not stopped.
local LEFT = { false, 'sl', 'rl' }

local HEADER = '^(%S+) (%S*) (%S*) (%S*) (%S*) (%S*) (%S*) (%S*) (%S*) (%d+) (%d+) (%d+) (%d+) ?(.*)$'

-- Reads a block from ARGV[i] on; returns it and the index behind it.
local function read_commit(i)
  local c, visits, sets, entries = {}
  c.id, c.flags, c.rev, c.job, c.seq, c.status, c.zt, c.st, c.rt, visits, c.priority, sets, entries, c.rest =
    match(ARGV[i], HEADER)
  local flags = c.flags
  c.visits, c.key, c.run_key = tonumber(visits), ARGV[i + 1], T .. 'run:' .. c.id
  i = i + 2
  c.set = { unpack(ARGV, i, i + sets - 1) }
  i = i + sets
  c.live = find(flags, 'l', 1, true)
  c.first_entry, i = i, i + entries * (c.live and 2 or 1)
  c.last_entry = i - 1
  c.bound = find(flags, 'b', 1, true)
  c.ends = find(flags, 'e', 1, true)
  if find(flags, 'k', 1, true) then
    c.was_status, c.was_t0 = ARGV[i], ARGV[i + 1]
    i = i + 2
  end
  if find(flags, 'c', 1, true) then
    c.context, i = ARGV[i], i + 1
  end
  if find(flags, 'j', 1, true) then
    c.job_name, c.job_opts = ARGV[i], ARGV[i + 1]
    i = i + 2
  end
  if find(flags, 'i', 1, true) then
    c.event_id, c.answer = ARGV[i], ARGV[i + 1]
    i = i + 2
  end
  return c, i
end

-- The run as the commit finds it, and a code: 0 go on, -11 no such run, -10 the visit is over, -12 decided on an old seq;
-- 2 an event that was answered before, with that answer as the third value.
local function check(c)
  local f = RC('HMGET', c.run_key, 'rev', 'job', 'seq', 'reserved')
  local run = { rev = f[1], job = f[2] or '', seq = f[3], reserved = f[4] and tonumber(f[4]) > NOW }
  if not run.rev then return run, -11 end
  local answer = c.event_id and RC('HGET', T .. 'sent:' .. c.id, c.event_id)
  if answer then return run, 2, answer end
  if c.bound and (run.rev ~= c.rev or run.job ~= c.job) then return run, -10 end
  if c.seq ~= '' and run.seq ~= c.seq then return run, -12 end
  -- A caller that kept losing to the run's own jobs is at it: they decide again until it has committed, or its time is up.
  if c.bound and c.seq ~= '' and run.reserved then return run, -12 end
  return run, 0
end

-- What only a commit needs that changes the run's status or its deadlines. A run that begins has brought it with it.
local function read_rest(c, run)
  if run.timers then return end
  if c.was_status then
    run.status, run.t0, run.timers, run.left = c.was_status, c.was_t0, {}, {}
    return
  end
  local f = RC('HMGET', c.run_key, 'status', 't0', 't1', 'zt', 'st', 'rt', 'sl', 'rl')
  run.status, run.t0, run.t1 = f[1], f[2], f[3]
  run.timers, run.left = { f[4], f[5], f[6] }, { false, f[7], f[8] }
end

-- New deadlines into the fields to set or remove, and the earliest of all into `due`. Returns whether sweepers are to be
-- woken: they look again within a second by themselves.
local function write_timers(c, run, set, del)
  local earliest, had, changed
  local new_timers = { c.zt, c.st, c.rt }
  for k, field in ipairs(TIMERS) do
    local old, left, new = run.timers[k], run.left[k], new_timers[k]
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

-- Live events of this call that are not written yet: fields of one record, of up to LIVE_RECORD_COMMITS commits.
local live, live_commits = {}, 0

-- Writes the live events of this call so far. Every script that commits ends with it.
local function flush_live()
  if live_commits == 0 then return end
  RC('XADD', T .. 'events', 'MAXLEN', '~', LIVE_STREAM_RECORDS, '*', unpack(live))
  live, live_commits = {}, 0
end

-- Entries into the history, and into the next record of the live stream. Returns whether the history is full now.
local function write_entries(c, seq)
  local stamp = '{"at":' .. NOW_S .. ',"seq":' .. seq .. ','
  local entries, n = {}, #live
  live[n + 1], live[n + 2], live[n + 3], live[n + 4] = 'r', c.id, 'p', c.key
  n = n + 4
  for k = c.first_entry, c.last_entry, c.live and 2 or 1 do
    local entry = stamp .. sub(ARGV[k], 2)
    entries[#entries + 1] = entry
    live[n + 1] = 'd'
    live[n + 2] = (not c.live or ARGV[k + 1] == '') and entry or stamp .. sub(ARGV[k + 1], 2)
    n = n + 2
  end
  live_commits = live_commits + 1
  if live_commits >= LIVE_RECORD_COMMITS then flush_live() end
  local full = RC('RPUSH', T .. 'hist:' .. c.id, unpack(entries)) >= HISTORY_FULL_AT
  if full then RC('HSET', c.run_key, 'full', '1') end
  return full
end

-- The job of a visit that somebody else than that job ended. Running: told to stop, and why; it will find itself stale.
-- Backing off: removed. Waiting: left alone, it will find itself stale (a removal costs O(queue), and deleting only its
-- hash would have the fetch recreate it empty).
local function supersede(job_and_reason)
  local job_id = match(job_and_reason, '^%S+')
  local key = P .. job_id
  if RC('EXISTS', key .. ':lock') == 1 then
    RC('PUBLISH', T .. 'abort', job_and_reason)
  elseif RC('ZREM', P .. 'delayed', job_id) == 1 then
    RC('DEL', key, key .. ':logs')
  end
end

-- Writes a commit that `check` let through; `add_job(c, job id)` adds the job of its visit, if it has one. Returns the
-- run's new seq, and whether its history is full now.
local function write_commit(c, run, add_job)
  local seq = string.format('%d', run.seq + 1)
  local set, del = c.set, {}
  local n = #set
  local rev, due = run.rev, nil
  if c.status ~= '' or c.zt ~= '' or c.st ~= '' or c.rt ~= '' then
    read_rest(c, run)
    due = write_timers(c, run, set, del)
    n = #set
    if c.ends then
      set[n + 1], set[n + 2] = 't1', NOW_S
      n = n + 2
    elseif run.t1 and c.status ~= '' then
      del[#del + 1] = 't1'
    end
    if c.status ~= '' then
      set[n + 1], set[n + 2] = 'status', c.status
      n = n + 2
    end
  end
  set[n + 1], set[n + 2] = 'seq', seq
  n = n + 2
  if c.visits > 0 then
    rev = string.format('%d', run.rev + c.visits)
    set[n + 1], set[n + 2], set[n + 3], set[n + 4] = 'te', NOW_S, 'rev', rev
    n = n + 4
  end
  if c.job_name then
    set[n + 1], set[n + 2] = 'job', seq
    n = n + 2
  end
  if run.reserved then set[n + 1], set[n + 2] = 'reserved', NOW_S end
  RC('HSET', c.run_key, unpack(set))
  if #del > 0 then RC('HDEL', c.run_key, unpack(del)) end
  if c.context then RC('SET', T .. 'ctx:' .. c.id, c.context) end
  write_due(c, due)
  local full = write_entries(c, seq)
  if c.status ~= '' and c.status ~= run.status then
    if run.status then RC('ZREM', T .. 'runs:status:' .. run.status, c.id) end
    RC('ZADD', T .. 'runs:status:' .. c.status, run.t0, c.id)
  end
  if c.event_id then RC('HSET', T .. 'sent:' .. c.id, c.event_id, c.answer) end
  if c.rest ~= '' then supersede(c.rest) end
  if c.job_name then add_job(c, c.id .. '.' .. rev .. '.' .. seq) end
  return seq, full
end
