-- Functions for test_states.c, joined to the library in the Redis of the test: they show
-- the tables, and try any event in any state.

-- What Redis has of a thing in a state, where that is not the field "state" of a record.
local SEEDS = {
    lock = { taken = { 'lock:x', 'job', 'j' }, armed = { 'lock:x', 'job', 'j', 'armed', 'yes' } },
    hold = { held = { 'target:x', 'held', 'fan' } },
    protection = { protected = { 'target:x', 'protected', 'dns' } },
    approval = { pending = { 'target:x', 'name', 'x', 'approved', 'pending' },
        approved = { 'target:x', 'name', 'x', 'approved', 'yes' } },
    image = { making = { 'image-names', 'x', 'j' }, listed = { 'image:x', 'name', 'x' } },
}

local IDS = { ['job-target'] = '0123456789abcdef:t:x', approval = 'target:x' }

local function seed(kind, id, state)
    for _, key in ipairs(call('KEYS', P .. '*')) do
        call('DEL', key)
    end
    local words = SEEDS[kind] and SEEDS[kind][state]
    if words then
        call('HSET', P .. words[1], unpack(words, 2))
    elseif not SEEDS[kind] and state ~= 'none' then
        call('HSET', R.kinds[kind].key(id), 'state', state)
    end
end

-- One word for all that Redis has.
local function fingerprint()
    local keys, all = call('KEYS', P .. '*'), {}
    table.sort(keys)
    for i, key in ipairs(keys) do
        all[i] = key .. call('DUMP', key)
    end
    return redis.sha1hex(table.concat(all))
end

serve('test_kinds', function()
    local items = {}
    for name, def in pairs(R.kinds) do
        items[#items + 1] = { kind = name, code = def.code }
    end
    return {}, items
end)

serve('test_rows', function(_, body)
    local items = {}
    for i, row in ipairs(R.kinds[body.kind].rows) do
        items[i] = { from = row[1], event = row[2], to = row[3], entry = row[4] or '-' }
    end
    return {}, items
end)

serve('test_operations', function()
    local items = {}
    for name, def in pairs(R.operations) do
        items[#items + 1] = { operation = name, needs = table.concat(def.needs, ' ') }
    end
    return {}, items
end)

-- {kind, state, event}: what is then, and whether anything changed.
serve('test_try', function(meta, body)
    local kind = R.kinds[body.kind]
    local id = IDS[body.kind] or 'x'
    seed(body.kind, id, body.state)
    local before, seeded = fingerprint(), kind.peek(id)
    local ok, why = pcall(R.move, meta, body.kind, id, body.event, { reason = 'r', job = 'j' },
        { target = 'x' })
    local entry = call('XREVRANGE', P .. 'audit', '+', '-', 'COUNT', 1)[1]
    return { seeded = seeded, state = kind.peek(id), entry = entry and entry[2][2] or '-',
        code = ok and 0 or why.code or 'none', text = ok and '' or why.text or tostring(why),
        changed = fingerprint() == before and 'no' or 'yes' }
end)
