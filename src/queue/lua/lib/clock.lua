-- The commit's clock: Redis's own, read once. Every deadline and every time written is compared with or taken from it,
-- so the clocks of workers and producers do not matter. NOW in ms since 1970; NOW_S the same as text (Redis would format
-- a Lua number with %.17g).
local RC = redis.call
local TIME = RC('TIME')
local NOW = TIME[1] * 1000 + math.floor(TIME[2] / 1000)
local NOW_S = string.format('%d', NOW)
