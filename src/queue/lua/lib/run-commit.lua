-- One commit to one run: parse, check, write. Nothing here looks inside user JSON.
--
-- The block of arguments, as commit-block.ts lays it out:
--   shape         what many blocks of a call have in common, so that it is parsed once for all of them; words with a space
--                 between them, some empty:
--     flags         letters: b bound to a visit (compare rev and job); e the run ends; j enqueue a job for the visit;
--                   k its status and start are known, and that it lives and has no deadlines; i answers an event with an
--                   id; c the context changes; l live events differ from their entries; s makes a job obsolete; m the run
--                   moves into a state, and the job is that state's; o the job's options are as before, and left out
--     status        status after the commit; '' unchanged
--     zt, st, rt    deadlines of sleep, state and run: '' keep, '-' disarm, 'p' stop and keep what is left, 'r' arm what
--                   was left, else ms from now
--     visits        how many visits begin, one after the other: the revision grows by that
--     priority      of the job, as BullMQ counts ('0' none)
--     sets, entries   how many of each follow
--     attempts      of the job that ends with this, where a script wants to know
--   header        what is this commit's own, in words again:
--     id            run id
--     rev, job      the visit that a bound commit belongs to: revision, and the seq that enqueued its job ('' none)
--     seq           the seq this was decided on; '' for an entry that changes nothing else and so needs no comparison
--     next seq, next rev   the run's behind it; '' where the run itself is to say
--     the rest      flag s: the job id, a space, the word for why; else what the script takes it for
--   procedure     name@version
--   with flag m   the state
--   sets          field, value, ... written to the run hash; an empty value is none
--   entries       history entries as JSON objects without their opening brace, at and seq; with flag l behind each its live
--                 event, '' = the same
--   with flag k   its status and start
--   with flag c   the context
--   with flag j   what the job does (its name is the procedure's, a space and this), unless it is flag m's state; options as
--                 JSON, unless flag o
--   with flag i   event id, and the answer that the event is given now and whenever it is sent again
--
-- A crash leaves nothing half done: Redis runs a script to its end. Lua does not roll back, so every check stands
-- before the first write, and the first write (HSET) is one that Redis refuses when it is out of memory.

local match, find = string.match, string.find
local TIMERS = { 'zt', 'st', 'rt' }
-- What was left of a deadline when the run was paused, ms. A sleep is not stopped.
local LEFT = { false, 'sl', 'rl' }

local SHAPE = '^(%S*) (%S*) (%S*) (%S*) (%S*) (%d+) (%d+) (%d+) (%d+) (%d*)$'
local HEADER = '^(%S+) (%S*) (%S*) (%S*) (%S*) (%S*) ?(.*)$'

-- The shapes of this call by their texts. Where the parts of a block stand is counted from its beginning.
local shapes = {}
local function shape_of(text)
  if shapes[text] then return shapes[text] end
  local flags, status, zt, st, rt, visits, priority, sets, entries, attempts = match(text, SHAPE)
  local function has(letter) return find(flags, letter, 1, true) ~= nil end
  local s = { flags = flags, status = status, zt = zt, st = st, rt = rt, visits = tonumber(visits), priority = priority,
    attempts = attempts, bound = has('b'), ends = has('e'), live = has('l'), supersedes = has('s') }
  local at = 3
  local function part(present, size)
    if not present then return nil end
    at = at + size
    return at - size
  end
  s.state = part(has('m'), 1)
  s.first_set = part(true, tonumber(sets))
  s.last_set = at - 1
  s.first_entry = part(true, entries * (s.live and 2 or 1))
  s.last_entry = at - 1
  s.was, s.context = part(has('k'), 2), part(has('c'), 1)
  s.has_job = has('j')
  s.job_does = s.state or part(s.has_job, 1)
  s.job_options = part(s.has_job and not has('o'), 1)
  s.event = part(has('i'), 2)
  s.size = at
  s.timed = status ~= '' or zt ~= '' or st ~= '' or rt ~= ''
  -- Like most: a visit's end is the next visit, with nothing else to write than that and one entry.
  s.usual = s.bound and s.state and sets == '0' and not s.timed and entries == '1' and not s.live and not s.context
    and not s.event
  shapes[text] = s
  return s
end

-- The block of this shape at ARGV[i]. (All fields that it is ever given are named at once: a Lua table that grows is copied
-- again and again.)
local function read_commit(s, i)
  local id, rev, job, seq, next_seq, next_rev, rest = match(ARGV[i + 1], HEADER)
  return { shape = s, at = i, id = id, rev = rev, job = job, seq = seq, next_seq = next_seq, next_rev = next_rev, rest = rest,
    run_key = T .. 'run:' .. id, job_id = false, job_key = false, lock_key = false, keeps = false, removed = false,
    passed_to = false }
end

-- A part of a block, by its place in the shape.
local function part_of(c, place) return ARGV[c.at + place] end

local function job_name(c) return ARGV[c.at + 2] .. ' ' .. ARGV[c.at + c.shape.job_does] end

-- Where the fields of a run stand that every commit looks at.
local REV, JOB, SEQ, RESERVED = 1, 2, 3, 4

-- The run as the commit finds it, and a code: 0 go on, -11 no such run, -10 the visit is over, -12 decided on an old seq;
-- 2 an event that was answered before, with that answer as the third value.
local function check(c)
  local s, run = c.shape, RC('HMGET', c.run_key, 'rev', 'job', 'seq', 'reserved')
  if not run[REV] then return run, -11 end
  local answer = s.event and RC('HGET', T .. 'sent:' .. c.id, part_of(c, s.event))
  if answer then return run, 2, answer end
  if s.bound and (run[REV] ~= c.rev or (run[JOB] or '') ~= c.job) then return run, -10 end
  if c.seq ~= '' and run[SEQ] ~= c.seq then return run, -12 end
  if (run[RESERVED] or '') ~= '' then
    -- A caller that kept losing to the run's own jobs is at it: they decide again until it has committed, or its time is up.
    local stands = tonumber(run[RESERVED]) > NOW
    if stands and s.bound and c.seq ~= '' then return run, -12 end
    run[RESERVED] = stands
  else
    run[RESERVED] = false
  end
  return run, 0
end

-- What only a commit needs that changes the run's status or its deadlines. A run that begins has brought it with it.
local function read_rest(c, run)
  if run.timers then return end
  local was = c.shape.was
  if was then
    run.status, run.t0, run.timers, run.left = part_of(c, was), part_of(c, was + 1), {}, {}
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
  local new_timers = { c.shape.zt, c.shape.st, c.shape.rt }
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
  if tonumber(due) - NOW < SWEEP_MS and RC('ZRANGE', T .. 'due', '0', '0')[1] == c.id then RC('PUBLISH', T .. 'wake', due) end
end

-- Live events of this call that are not written yet: fields of one record, of up to LIVE_RECORD_COMMITS commits.
local live, live_fields, live_commits = {}, 0, 0

-- Writes the live events of this call so far. Every script that commits ends with it.
local function flush_live()
  if live_commits == 0 then return end
  RC('XADD', T .. 'events', 'MAXLEN', '~', LIVE_STREAM_RECORDS, '*', unpack(live, 1, live_fields))
  live_fields, live_commits = 0, 0
end

-- A commit's live events begin; its events follow by `add_live`.
local function begin_live(id, procedure)
  if live_commits == LIVE_RECORD_COMMITS then flush_live() end
  local n = live_fields
  live[n + 1], live[n + 2], live[n + 3], live[n + 4] = 'r', id, 'p', procedure
  live_fields, live_commits = n + 4, live_commits + 1
end

local function add_live(event)
  live[live_fields + 1], live[live_fields + 2] = 'd', event
  live_fields = live_fields + 2
end

-- How every entry of this call begins; its seq and the rest follow.
local ENTRY = '{"at":' .. NOW_S .. ',"seq":'

-- Entries into the history, and into the next record of the live stream. Returns whether the history is full now.
local function write_entries(c, seq)
  local s, i = c.shape, c.at
  local stamp = ENTRY .. seq .. ','
  local entries = {}
  begin_live(c.id, ARGV[i + 2])
  for k = i + s.first_entry, i + s.last_entry, s.live and 2 or 1 do
    local entry = stamp .. ARGV[k]
    entries[#entries + 1] = entry
    add_live((not s.live or ARGV[k + 1] == '') and entry or stamp .. ARGV[k + 1])
  end
  if RC('RPUSH', T .. 'hist:' .. c.id, unpack(entries)) < HISTORY_FULL_AT then return false end
  RC('HSET', c.run_key, 'full', '1')
  return true
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

-- The fields of the run's record. `begins`: what they are written behind.
local function write_fields(c, run, seq, rev, begins)
  local s, set, del = c.shape, begins or {}, {}
  for k = c.at + s.first_set, c.at + s.last_set do set[#set + 1] = ARGV[k] end
  local n, due = #set, nil
  if s.state then
    set[n + 1], set[n + 2] = 'state', part_of(c, s.state)
    n = n + 2
  end
  if s.timed then
    read_rest(c, run)
    due = write_timers(c, run, set, del)
    n = #set
    if s.ends then
      set[n + 1], set[n + 2] = 't1', NOW_S
      n = n + 2
    elseif run.t1 and s.status ~= '' then
      del[#del + 1] = 't1'
    end
    if s.status ~= '' then
      set[n + 1], set[n + 2] = 'status', s.status
      n = n + 2
    end
  end
  set[n + 1], set[n + 2] = 'seq', seq
  n = n + 2
  if s.visits > 0 then
    set[n + 1], set[n + 2], set[n + 3], set[n + 4] = 'te', NOW_S, 'rev', rev
    n = n + 4
  end
  if s.has_job then
    set[n + 1], set[n + 2] = 'job', seq
    n = n + 2
  end
  if run[RESERVED] then set[n + 1], set[n + 2] = 'reserved', NOW_S end
  RC('HSET', c.run_key, unpack(set))
  if #del > 0 then RC('HDEL', c.run_key, unpack(del)) end
  return due
end

-- Writes a commit that `check` let through; `add_job(c, job id)` adds the job of its visit, if it has one. `begins`: fields
-- of a run that begins, as `write_fields` wants them. Returns the run's new seq, and whether its history is full now.
local function write_commit(c, run, add_job, begins)
  local s, seq, rev = c.shape, c.next_seq, run[REV]
  if seq == '' then seq = string.format('%d', run[SEQ] + 1) end
  if s.visits > 0 then rev = c.next_rev ~= '' and c.next_rev or string.format('%d', run[REV] + s.visits) end
  local due = write_fields(c, run, seq, rev, begins)
  if s.context then RC('SET', T .. 'ctx:' .. c.id, part_of(c, s.context)) end
  write_due(c, due)
  local full = write_entries(c, seq)
  if s.status ~= '' and s.status ~= run.status then
    if run.status then RC('ZREM', T .. 'runs:status:' .. run.status, c.id) end
    RC('ZADD', T .. 'runs:status:' .. s.status, run.t0, c.id)
  end
  if s.event then RC('HSET', T .. 'sent:' .. c.id, part_of(c, s.event), part_of(c, s.event + 1)) end
  if s.supersedes then supersede(c.rest) end
  if s.has_job then add_job(c, c.id .. '.' .. rev .. '.' .. seq) end
  return seq, full
end
