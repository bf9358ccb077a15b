-- Keys, tokens, enrolment.

local PEOPLE = { operator = true, viewer = true, dashboard = true }
local ROLES = { operator = true, viewer = true, dashboard = true, imager = true, installer = true,
    source = true, target = true, firstboot = true }
local RECORD_OF = { source = 'source', target = 'target', installer = 'engine' }
local SECOND_KEY_MS = 20000     -- Two live keys of one machine for so long hold it

local function key_load(key)
    return load(P .. 'key:' .. (key or ''))
end

-- True when an approved key other than this one has the same role and name.
local function has_twin(record)
    for _, key in ipairs(call('SMEMBERS', P .. 'key-names:' .. record.name)) do
        local other = key ~= record.key and key_load(key)
        if other and other.role == record.role and R.is('key', other, 'approved') then
            return true
        end
    end
    return false
end

-- The key by which the agent of a target speaks now, or ''.
function R.agent_key(name)
    for _, key in ipairs(call('SMEMBERS', P .. 'key-names:' .. name)) do
        local record = key_load(key)
        if record and record.role == 'target' and R.is('key', record, 'approved')
            and call('HEXISTS', P .. 'greetings', key) == 1 then
            return key
        end
    end
    return ''
end

-- A place has imagers as long as it has an approved key of one.
local function sending_end(place)
    for _, key in ipairs(call('ZRANGE', P .. 'keys', 0, -1)) do
        local found = call('HMGET', P .. 'key:' .. key, 'role', 'place')
        if found[1] == 'imager' and found[2] == place and R.is_now('key', key, 'approved') then
            return
        end
    end
    call('SREM', P .. 'sending', place)
end

local function token_end(hash)
    call('HDEL', P .. 'token-ids', call('HGET', P .. 'token:' .. hash, 'id') or '')
    call('DEL', P .. 'token:' .. hash)
end

-- record: of a loaded key, whose state becomes the new one, or of a new key. What a key has
-- beside its record ends with it. The machine of one that gives way stays protected until
-- the new key greets, or is revoked as well.
local function key_move(meta, event, record)
    local note = { key = record.key, role = record.role, name = record.name }
    record.state = R.move(meta, 'key', record.key, event, record, note)
    call('ZADD', P .. 'keys', 0, record.key)
    call('SADD', P .. 'key-names:' .. record.name, record.key)
    if not R.is('key', record, 'ended') then
        return
    end
    R.peer_end(meta, record.key, event == 'replace' and 'its machine has started again'
        or 'the key of its worker has ended')
    if not has_twin(record) then
        R.peer_forget(record.role .. '/' .. record.name)
    end
end

local function keys_named(text)
    if key_load(text) then
        return { key_load(text) }
    end
    local found = {}
    for _, key in ipairs(call('SMEMBERS', P .. 'key-names:' .. (text or ''))) do
        found[#found + 1] = key_load(key)
    end
    need(#found > 0, E.NOT_FOUND, 'the key ' .. tostring(text)
        .. ' does not exist; see: ramet key list')
    return found
end

-- The record of the machine or engine that a key speaks for.
local function record_require(meta, key, fields)
    local class = RECORD_OF[key.role]
    if key.role == 'imager' then
        call('SADD', P .. 'sending', key.place)
    end
    if not class then
        return
    end
    local name = class == 'engine' and key.place or key.name
    local known = call('EXISTS', P .. class .. ':' .. name) == 1
    if class == 'engine' then
        fields = {}
    elseif not known and set(key.place) then
        fields[class == 'target' and 'engine' or 'place'] = key.place
    end
    local event = R.is('key', key, 'approved') and 'approve' or 'announce'
    R.move(meta, 'approval', class .. ':' .. name, event)
    R.record_write(class, name, fields)
end

-- Approve all pending keys of a source, engine or target.
function R.keys_approve(meta, class, name)
    for _, key in ipairs(call('SMEMBERS', P .. 'key-names:' .. name)) do
        local record = key_load(key)
        if record and R.can('key', record, 'approve')
            and RECORD_OF[record.role] == class then
            key_move(meta, 'approve', record)
        end
    end
end

serve('key_list', function(meta)
    local items, cursor = page(P .. 'keys', meta.cursor, key_load)
    return {}, items, cursor
end)

serve('key_get', function(meta, body)
    return need(key_load(body.key), E.NOT_FOUND, 'the key does not exist; see: ramet key list')
end)

serve('key_approve', function(meta, body)
    local keys = keys_named(set(body.key) and body.key or body.name)
    for _, key in ipairs(keys) do
        if R.can('key', key, 'approve') then
            key_move(meta, 'approve', key)
            record_require(meta, key, {})
        end
    end
    return {}
end)

-- A name may be that of several keys.
local function need_one_key(keys, name)
    local found = {}
    for _, key in ipairs(keys) do
        if R.can('key', key, 'revoke') then
            found[#found + 1] = key.role .. ' ' .. key.key
        end
    end
    need(#found < 2, E.REFUSED, 'several keys have the name ' .. name .. ': ' .. some(found, 10)
        .. '; name one by its key, or revoke all with --force')
end

serve('key_revoke', function(meta, body)
    local keys = keys_named(set(body.key) and body.key or body.name)
    if body.force ~= 'yes' then
        need_one_key(keys, body.name or '')
    end
    for _, key in ipairs(keys) do
        if R.can('key', key, 'revoke') then
            key_move(meta, 'revoke', key)
        end
        R.own_drop(key.key) -- Also of one that gave way before
        if key.role == 'imager' then
            sending_end(key.place)
        end
    end
    return {}
end)

-- meta.hash is that of the token, which is never stored.
serve('key_token', function(meta, body)
    need(ROLES[body.role] and body.role ~= 'firstboot', E.USAGE,
        'the role ' .. tostring(body.role) .. ' has no tokens')
    if set(body.name) then
        named(body.name)
    end
    local placed = body.role == 'imager' or body.role == 'installer'
    need(not placed or set(body.place), E.USAGE, 'a token for ' .. body.role
        .. ' needs the place; name it with --place')
    if set(body.place) then
        named(body.place)
    end
    local ttl = num(body['ttl-s'], 24 * 3600)
    local uses = num(body.uses, 1)
    need(ttl >= 1 and ttl <= KEPT_S and uses >= 1, E.USAGE,
        'a token lives 1 s to 30 days and has at least one use')
    local key = P .. 'token:' .. meta.hash
    call('HSET', P .. 'token-ids', meta.token or meta.hash, meta.hash)
    store(key, { id = meta.token or meta.hash, by = meta.name or meta.by or '',
        role = body.role, name = body.name or '', place = body.place or '', uses = uses,
        approve = body.approve == 'yes' and 'yes' or 'no',
        ['until'] = mark() + ttl * 1000 })
    call('EXPIRE', key, ttl + KEPT_S) -- By the time of day: to be forgotten, not to end
    audit(meta, 'key.token', { role = body.role, name = body.name or '', token = meta.token })
    return {}
end)

serve('token_list', function()
    local items, ids = {}, call('HGETALL', P .. 'token-ids')
    for i = 1, #ids, 2 do
        local token = load(P .. 'token:' .. ids[i + 1])
        if token and num(token['until']) > now() then
            token['left-s'] = math.floor((num(token['until']) - now()) / 1000)
            token['until'] = nil
            items[#items + 1] = token
        elseif not token then
            call('HDEL', P .. 'token-ids', ids[i])
        end
    end
    table.sort(items, function(a, b) return a.id < b.id end)
    return {}, items
end)

serve('token_revoke', function(meta, body)
    local hash = need(call('HGET', P .. 'token-ids', body.name or ''), E.NOT_FOUND,
        'the token ' .. tostring(body.name) .. ' does not exist; see: ramet token list')
    local token = load(P .. 'token:' .. hash) or {}
    token_end(hash)
    audit(meta, 'token.revoke', { token = body.name, role = token.role, name = token.name })
    return {}
end)

-- What the caller is. The first use of a key that was made by a rotation ends the old one.
serve('key_whoami', function(meta)
    local key = key_load(meta.by)
    local old = key and set(key.replaces) and key_load(key.replaces)
    if old and R.can('key', old, 'replace') then
        key_move(meta, 'replace', old)
    end
    return { key = meta.by, role = meta.role, name = meta.name, place = meta.place or '' }
end)

-- {key}: a new key of the caller, with the same role, name and place. Both may act until
-- the new one asks who it is.
serve('key_rotate', function(meta, body)
    local old = need(key_load(meta.by), E.REFUSED, 'the key of an admin is a file of the '
        .. 'brokers; make a new pair with: ramet key init FOLDER, and name its public key in '
        .. 'the setting admins of each broker')
    local known = key_load(body.key)
    need(not known or known.replaces == old.key, E.EXISTS, 'the new key is known already')
    if not known then
        key_move(meta, 'rotate', { key = body.key, role = old.role, name = old.name,
            place = old.place or '', replaces = old.key, created = wall() })
    end
    return { key = body.key, role = old.role, name = old.name, place = old.place or '' }
end)

-- The name a machine goes by: its own word, the token's, or the one its hardware has.
local function enrol_name(body, token)
    if set(token.name) then
        need(not set(body.name) or body.name == token.name, E.NOT_ALLOWED,
            'the token was made for another name')
        return token.name
    end
    local owner = set(body.identity)
        and call('HGET', P .. 'unique', 'identity=' .. string.lower(body.identity))
    if body.role == 'target' and owner then
        need(not set(body.name) or body.name == owner, E.NOT_ALLOWED,
            'this machine has a record under another name')
        return owner
    end
    if set(body.name) then
        return named(body.name)
    end
    need(set(body.identity), E.USAGE, 'the request to enrol needs a name or an identity')
    return 'm-' .. string.sub(redis.sha1hex(body.identity), 1, 12)
end

-- People are told apart by the names of their keys.
local function enrol_need_name(body, name)
    for _, key in ipairs(PEOPLE[body.role] and call('SMEMBERS', P .. 'key-names:' .. name) or {}) do
        local other = key_load(key)
        need(not other or not PEOPLE[other.role] or R.is('key', other, 'ended'), E.EXISTS,
            'a key with role ' .. tostring(other and other.role) .. ' has the name ' .. name
            .. '; choose another one with --name, or let an admin revoke it: '
            .. 'ramet key revoke ' .. name)
    end
end

-- An older key of the same machine gives way unless it is still heard.
local function enrol_rivals(meta, body, name)
    local rivals = {}
    for _, key in ipairs(call('SMEMBERS', P .. 'key-names:' .. name)) do
        local record = key_load(key)
        if record and record.role == body.role and key ~= body.key
            and R.is('key', record, 'approved') and RECORD_OF[body.role] ~= 'engine' then
            rivals[#rivals + 1] = record
        end
    end
    local mark = P .. 'second:' .. body.role .. '/' .. name
    for _, record in ipairs(rivals) do
        if num(call('ZSCORE', P .. 'live', record.key)) > now() - L.PRESENT_MS then
            call('SET', mark, now(), 'NX', 'EX', 60)
            if body.role == 'target' and now() - num(call('GET', mark)) > SECOND_KEY_MS
                and R.is_now('hold', name, 'free') then
                R.hold(meta, name, 'two live machines enrol as ' .. name)
            end
            fail(E.UNAVAILABLE, 'another key of ' .. body.role .. ' ' .. name
                .. ' is still in use; enrol again in 5 s')
        end
    end
    call('DEL', mark) -- A doubt after another start begins anew
    return rivals
end

-- A netbooted machine has a new key at each start; one that an administrator has approved,
-- or added with its identity, does not wait again.
local function enrol_is_known(body, name)
    return body.role == 'target' and set(body.identity)
        and call('HGET', P .. 'unique', 'identity=' .. string.lower(body.identity)) == name
        and R.is_now('approval', 'target:' .. name, 'approved')
end

local function enrol_answer(key)
    need(not R.is('key', key, 'revoked'), E.NOT_ALLOWED, 'this key was revoked')
    need(R.is('key', key, 'approved'), E.UNAVAILABLE,
        key.role .. ' ' .. key.name .. ' waits for approval')
    return { key = key.key, name = key.name, role = key.role, place = key.place or '' }
end

-- {key, role, name, place, identity, hardware}; meta.hash is that of the token.
serve('enrol', function(meta, body)
    local known = key_load(body.key)
    if known then
        return enrol_answer(known)
    end
    local at = P .. 'token:' .. (meta.hash or '')
    local token = load(at)
    need(token and num(token['until']) > now(), E.NOT_ALLOWED, 'the token does not exist, has '
        .. 'expired, or has no use left; make one with: '
        .. 'ramet key token ' .. tostring(body.role))
    need(token.role == body.role, E.NOT_ALLOWED, 'the token was made for another role')
    need(not set(token.place) or not set(body.place) or token.place == body.place,
        E.NOT_ALLOWED, 'the token was made for another place')
    local name = enrol_name(body, token)
    enrol_need_name(body, name)
    local rivals = enrol_rivals(meta, body, name)
    local place = set(token.place) and token.place or body.place or ''
    local fields = { identity = set(body.identity) and body.identity or nil,
        hardware = set(body.hardware) and body.hardware or nil }
    if body.role == 'target' then
        local owner = fields.identity
            and call('HGET', P .. 'unique', 'identity=' .. string.lower(fields.identity))
        need(not owner or owner == name, E.NOT_ALLOWED, 'this hardware belongs to target '
            .. tostring(owner))
    end
    if call('HINCRBY', at, 'uses', -1) <= 0 then
        token_end(meta.hash)
    end
    for _, rival in ipairs(rivals) do
        key_move(meta, 'replace', rival)
    end
    local key = { key = body.key, role = body.role, name = name, place = place,
        created = wall() }
    local is_known = token.approve == 'yes' or enrol_is_known(body, name)
    key_move(meta, is_known and 'enrol' or 'announce', key)
    record_require(meta, key, fields)
    if not is_known then     -- Not by fail: the writes above stand
        return { key = key.key, pending = 'yes', name = name, role = key.role }
    end
    return enrol_answer(key)
end)

-- A key for the first boot of a target is new, or the target has it already.
function R.key_may_boot(key, target)
    local record = key_load(key)
    return not record or record.role == 'firstboot' and record.name == target
        and R.can('key', record, 'make')
end

-- The key made for one first boot: it may confirm this target at this epoch only.
function R.key_firstboot(meta, key, target, epoch)
    key_move(meta, 'make', { key = key, role = 'firstboot', name = target, place = '',
        epoch = epoch, created = wall() })
end

function R.key_used(meta, key)
    local record = key_load(key)
    if R.can('key', record, 'use') then
        key_move(meta, 'use', record)
    end
end
