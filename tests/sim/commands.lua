-- A function for test_sim_redis.c, joined to the library in a real Redis and in the one of
-- the simulation: commands by chance, and what each answered.

local KEYS = { 'k1', 'k2', 'k3', 'k4', 'k5' }
local WORDS = { 'a', 'b', 'ab', 'c', '7', '' }
local NUMBERS = { '0', '1', '-1', '2', '-3', '5', 'x' }
local SCORES = { '-inf', '+inf', '0', '1', '(1', '2', '(2', '5' }
local LOWS = { '-', '[a', '(a', '[b', '(ab', 'x' }
local HIGHS = { '+', '[c', '(c', '[b', '(ab' }

-- Each row: the command, and the pools of its arguments. A pool may be one word.
local ROWS = {
    { 'DEL', KEYS }, { 'EXISTS', KEYS }, { 'EXPIRE', KEYS, { '100', 'x' } },
    { 'PERSIST', KEYS }, { 'GET', KEYS }, { 'SET', KEYS, WORDS }, { 'SET', KEYS, WORDS, 'NX' },
    { 'SET', KEYS, WORDS, 'NX', 'EX', { '60', '90' } }, { 'INCR', KEYS },
    { 'HSET', KEYS, WORDS, WORDS }, { 'HSET', KEYS, WORDS, NUMBERS, WORDS, WORDS },
    { 'HSET', KEYS, WORDS }, { 'HSETNX', KEYS, WORDS, WORDS }, { 'HGET', KEYS, WORDS },
    { 'HMGET', KEYS, WORDS, WORDS }, { 'HEXISTS', KEYS, WORDS }, { 'HGETALL', KEYS },
    { 'HDEL', KEYS, WORDS, WORDS }, { 'HKEYS', KEYS }, { 'HINCRBY', KEYS, WORDS, NUMBERS },
    { 'SADD', KEYS, WORDS, WORDS }, { 'SREM', KEYS, WORDS }, { 'SCARD', KEYS },
    { 'SISMEMBER', KEYS, WORDS }, { 'SMEMBERS', KEYS },
    { 'ZADD', KEYS, NUMBERS, WORDS }, { 'ZADD', KEYS, 'GT', NUMBERS, WORDS }, { 'ZADD', KEYS, '0', WORDS, '0', WORDS },
    { 'ZREM', KEYS, WORDS }, { 'ZCARD', KEYS }, { 'ZSCORE', KEYS, WORDS },
    { 'ZCOUNT', KEYS, SCORES, SCORES }, { 'ZRANGEBYSCORE', KEYS, SCORES, SCORES },
    { 'ZRANGEBYSCORE', KEYS, SCORES, SCORES, 'WITHSCORES' },
    { 'ZRANGEBYSCORE', KEYS, SCORES, SCORES, 'LIMIT', { '0', '1' }, { '1', '2' } },
    { 'ZREMRANGEBYSCORE', KEYS, SCORES, SCORES },
    { 'ZRANK', KEYS, WORDS },
    { 'ZREMRANGEBYRANK', KEYS, NUMBERS, NUMBERS }, { 'ZRANGE', KEYS, NUMBERS, NUMBERS },
    { 'ZRANGE', KEYS, NUMBERS, NUMBERS, 'WITHSCORES' }, { 'ZREVRANGE', KEYS, NUMBERS, NUMBERS },
    { 'RPUSH', KEYS, WORDS, WORDS }, { 'LPUSH', KEYS, WORDS, WORDS }, { 'LPOP', KEYS },
    { 'LLEN', KEYS }, { 'LRANGE', KEYS, NUMBERS, NUMBERS }, { 'LTRIM', KEYS, NUMBERS, NUMBERS },
    { 'XADD', KEYS, '*', WORDS, WORDS },
    { 'XTRIM', KEYS, 'MINID', { '5', '99999999999999' } },
    { 'XLEN', KEYS }, { 'XRANGE', KEYS, '-', '+', 'COUNT', '3' }, { 'XRANGE', KEYS, '(5', '+', 'COUNT', '2' },
    { 'XREVRANGE', KEYS, '+', '-', 'COUNT', '2' }, { 'PUBLISH', 'channel', WORDS },
    { 'NOSUCH', KEYS },
}
-- Only members of one score have a range of names.
local LEX_ROWS = { { 'ZADD', 'names', '0', WORDS, '0', WORDS }, { 'ZREM', 'names', WORDS },
    { 'ZRANGEBYLEX', 'names', LOWS, HIGHS },
    { 'ZRANGEBYLEX', 'names', LOWS, HIGHS, 'LIMIT', { '0', '1' }, { '1', '3' } } }

local UNSORTED = { HGETALL = true, HKEYS = true, SMEMBERS = true }

local state

local function chance(count)
    state = (state * 16807) % 2147483647
    return state % count + 1
end

-- Ids of a stream have the time in them.
local function told(value)
    if type(value) == 'string' and string.find(value, '^%d+%-%d+$') then
        return 'id'
    elseif type(value) ~= 'table' then
        return type(value) .. ':' .. tostring(value)
    elseif value.ok then
        return 'ok:' .. value.ok
    end
    local parts = {}
    for i, part in ipairs(value) do
        parts[i] = told(part)
    end
    return '{' .. table.concat(parts, ' ') .. '}'
end

local function pairs_sorted(list, is_hash)
    local out = {}
    for i = 1, #list, is_hash and 2 or 1 do
        out[#out + 1] = is_hash and list[i] .. '=' .. list[i + 1] or list[i]
    end
    table.sort(out)
    return out
end

-- {seed, count}: the commands and their answers, a line each.
serve('test_commands', function(_, body)
    state = tonumber(body.seed)
    local lines = {}
    for _, key in ipairs(KEYS) do
        call('DEL', key)
    end
    call('DEL', 'names')
    for i = 1, tonumber(body.count) do
        local rows = chance(8) == 1 and LEX_ROWS or ROWS
        local words = {}
        for n, pool in ipairs(rows[chance(#rows)]) do
            words[n] = type(pool) == 'table' and pool[chance(#pool)] or pool
        end
        local ok, answer = pcall(redis.call, unpack(words))
        answer = ok and answer or not ok and 'an error'
        if UNSORTED[words[1]] and ok then
            answer = pairs_sorted(answer, words[1] == 'HGETALL')
        end
        lines[i] = table.concat(words, ' ') .. ' -> ' .. told(answer)
    end
    return { text = table.concat(lines, '\n') }
end)
