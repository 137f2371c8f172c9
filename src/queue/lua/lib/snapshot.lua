-- What a process needs of a run to decide: its hash, its context, and where that has never changed, the first entry of the
-- history, which has it. See run-hash.ts.
local function snapshot(id)
  local context = RC('GET', T .. 'ctx:' .. id)
  return { RC('HGETALL', T .. 'run:' .. id), context, not context and RC('LINDEX', T .. 'hist:' .. id, 0) }
end

-- Takes a reply of BullMQ's fetch ({job, id, limit, delay}) and adds the snapshot of the job's run as [5]: the context
-- lives only in the run hash and comes back with the fetched job. BullMQ leaves a base marker behind each fetch; when
-- nothing is left to fetch it would only wake workers for nothing, so it is taken away.
local function with_snapshot(reply)
  if type(reply) == 'table' and type(reply[1]) == 'table' then
    local id = string.match(reply[2], '^(.+)%.%d+%.%d+$')
    if id then reply[5] = snapshot(id) end
    if RC('EXISTS', P .. 'wait', P .. 'prioritized') == 0 then RC('ZREM', P .. 'marker', '0') end
  end
  return reply
end
