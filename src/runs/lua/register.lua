--[[ register: stores one version of a procedure, if it is not there yet: of two different documents, the version, the text
  and the digest of the first one stand.
  KEYS     hash of the name's versions; text of the definition; set of all names
  ARGV     version; the record's JSON up to the time, and behind it; the definition's JSON; name
  Returns  false when the version was stored now, else the record that was there, JSON
  Cost     four commands.
  Crash    none or all of it. ]]
local record = ARGV[2] .. redis.call('TIME')[1] .. '000' .. ARGV[3]
local added = redis.call('HSETNX', KEYS[1], ARGV[1], record)
redis.call('SETNX', KEYS[2], ARGV[4])
redis.call('SADD', KEYS[3], ARGV[5])
return added == 0 and redis.call('HGET', KEYS[1], ARGV[1])
