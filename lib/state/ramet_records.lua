-- Records of sources, engines and targets; images; scripts.

local CLASSES = { source = 'sources', engine = 'engines', target = 'targets' }
local BULKY = { hardware = true, layout = true, kernel = true, content = true }
local NO_FIELDS = { class = true, approved = true }
local LIVE = { state = true, present = true, job = true, phase = true, held = true,
    protected = true, reason = true }
local UNIQUE = { address = 'address', mac = 'mac', macs = 'mac', identity = 'identity' }

local function record_key(class, name)
    return P .. class .. ':' .. name
end

local function class_of(body)
    return need(CLASSES[body.class] and body.class, E.USAGE,
        'this class of records does not exist')
end

local function record_load(class, name)
    local record = load(record_key(class, named(name)))
    return need(record, E.NOT_FOUND, 'the ' .. class .. ' ' .. name
        .. ' does not exist; see: ramet ' .. class .. ' list')
end

-- Refuse the name of a record that does not exist.
function R.record_need(class, name)
    record_load(class, name)
end

function R.present(role, name)
    local heard_at = num(call('ZSCORE', P .. 'presence', role .. '/' .. name))
    return heard_at > now() - L.PRESENT_MS
end

-- What changes by itself is not in the record but laid over it when it is shown.
local function with_live(class, record)
    record.present = R.present(class, record.name) and 'yes' or 'no'
    if class ~= 'target' then
        if class == 'engine' then
            record.present = nil
        end
        return record
    end
    local lock = load(P .. 'lock:' .. record.name)
    record.protected = R.forbidden(record)
    record.state = R.availability(lock, record)
    record.reason = record.protected or record.held
    if lock then
        record.job = lock.job
        local step = P .. 'job:' .. lock.job .. ':t:' .. record.name
        local found = call('HMGET', step, 'phase', 'task')
        record.phase = found[1] or nil
        record.reason = R.stuck_text(lock.job, found[2]) or record.held
    end
    return record
end

local function without_bulk(record)
    for name in pairs(BULKY) do
        record[name] = nil
    end
    return record
end

-- An approval is no field: R.move gives it. A list of records that was exported names it.
local function fields_of(body)
    local fields = {}
    for name, value in pairs(body) do
        need(not LIVE[name], E.USAGE, 'only ramet sets the field ' .. name)
        if not NO_FIELDS[name] then
            fields[name] = value
        end
    end
    return fields
end

local function approve(meta, class, name)
    R.move(meta, 'approval', class .. ':' .. name, 'approve')
end

-- net.<role>.<field> is the field of another interface of the same machine.
local function unique_kind(name)
    local field = string.match(name, '^net%.[^.]+%.(.+)$') or name
    return UNIQUE[field]
end

local function unique_marks(fields)
    local marks = {}
    for field, text in pairs(fields) do
        local kind = unique_kind(field)
        for _, word in ipairs(kind and words(text) or {}) do
            -- 10.0.0.7/24 and 10.0.0.7 are one address.
            local bare = string.gsub(string.lower(word), '/%d+$', '')
            marks[#marks + 1] = kind .. '=' .. bare
        end
    end
    return marks
end

local function sets_kind(fields, kind)
    for name in pairs(fields) do
        if unique_kind(name) == kind then
            return true
        end
    end
    return false
end

-- For imports: seen holds the marks of the same call, rows the records that it changes,
-- whose old marks are free.
local function unique_check(class, name, fields, seen, rows)
    if class ~= 'target' then
        return
    end
    for _, mark in ipairs(unique_marks(fields)) do
        local owner = call('HGET', P .. 'unique', mark)
        local field = string.match(mark, '^(%a+)=')
        local row = owner and rows and rows[owner]
        if row and sets_kind(row, field) then
            owner = nil
        end
        owner = seen and seen[mark] or owner
        need(not owner or owner == name, E.EXISTS,
            mark .. ' of target ' .. name .. ' belongs to target ' .. tostring(owner))
        if seen then
            seen[mark] = name
        end
    end
end

local function unique_free(name, record)
    for _, mark in ipairs(unique_marks(record)) do
        if call('HGET', P .. 'unique', mark) == name then
            call('HDEL', P .. 'unique', mark)
        end
    end
end

function R.record_write(class, name, fields)
    local key = record_key(class, name)
    if class == 'target' then
        local old = load(key) or {}
        unique_free(name, old)
        for field, value in pairs(fields) do
            old[field] = value
        end
        for _, mark in ipairs(unique_marks(old)) do
            call('HSET', P .. 'unique', mark, name)
        end
    end
    store(key, fields)
    call('HSET', key, 'name', name)
    call('HSETNX', key, 'created', wall())
    call('ZADD', P .. CLASSES[class], 0, name)
end

local function matches(record, select)
    for _, word in ipairs(words(select)) do
        local name, value = string.match(word, '^([^=]+)=(.*)$')
        need(name, E.USAGE,
            'a selection is NAME=VALUE, with commas between, as in rack=r12,site=hq')
        if (record[name] or '') ~= value then
            return false
        end
    end
    return true
end

serve('record_list', function(meta, body)
    local class = class_of(body)
    local items, cursor = page(P .. CLASSES[class], meta.cursor, function(name)
        local record = load(record_key(class, name))
        if not record then
            return nil
        end
        record = without_bulk(with_live(class, record))
        return matches(record, body.select) and record or nil
    end)
    return {}, items, cursor
end)

serve('record_show', function(meta, body)
    local class = class_of(body)
    return with_live(class, record_load(class, body.name))
end)

serve('record_add', function(meta, body)
    local class, name = class_of(body), named(body.name)
    need(call('EXISTS', record_key(class, name)) == 0, E.EXISTS,
        'the ' .. class .. ' ' .. name .. ' exists already')
    local fields = fields_of(body)
    unique_check(class, name, fields)
    approve(meta, class, name)
    R.record_write(class, name, fields)
    audit(meta, class .. '.add', { [class] = name })
    return load(record_key(class, name))
end)

serve('record_set', function(meta, body)
    local class = class_of(body)
    record_load(class, body.name)
    local fields = fields_of(body)
    unique_check(class, body.name, fields)
    local asked = body.approved
    need(not set(asked) or asked == 'yes', E.USAGE, 'the field approved can only become '
        .. 'yes; to keep a target out use: ramet target hold')
    if asked == 'yes' then
        approve(meta, class, body.name)
    end
    R.record_write(class, body.name, fields)
    audit(meta, class .. '.set', { [class] = body.name })
    return load(record_key(class, body.name))
end)

-- What would be left without its engine: targets and scripts.
local function engine_users(engine)
    local users = {}
    for _, name in ipairs(call('ZRANGE', P .. 'targets', 0, -1)) do
        if call('HGET', record_key('target', name), 'engine') == engine then
            users[#users + 1] = 'target ' .. name
        end
    end
    for _, name in ipairs(call('ZRANGE', P .. 'scripts:' .. engine, 0, -1)) do
        users[#users + 1] = 'script ' .. name
    end
    return users
end

local USERS_MAX = 10

-- A record in use is removed by force alone.
local function need_unused(class, name)
    local users = class == 'engine' and engine_users(name) or {}
    need(#users == 0, E.REFUSED, 'engine ' .. name .. ' is in use by ' .. some(users, USERS_MAX)
        .. '; remove them first, or remove it with --force')
    need(class ~= 'target' or not R.present(class, name), E.REFUSED, 'the agent of target '
        .. name .. ' is present and enrols again; stop the agent, or remove the record with '
        .. '--force')
end

serve('record_remove', function(meta, body)
    local class = class_of(body)
    local record = record_load(class, body.name)
    if class == 'target' then
        local lock = load(P .. 'lock:' .. body.name)
        need(not lock, E.LOCKED, 'target ' .. body.name .. ' is locked by job '
            .. (lock and lock.job or ''))
    end
    if body.force ~= 'yes' then
        need_unused(class, body.name)
    end
    if class == 'target' then
        unique_free(body.name, record)
    end
    R.move(meta, 'approval', class .. ':' .. body.name, 'remove')
    if class == 'source' then
        R.own_drop_source(body.name)
    end
    call('ZREM', P .. CLASSES[class], body.name)
    if class == 'target' then
        R.secret_keep(body.name, nil)
        R.secret_written(body.name)
    end
    audit(meta, class .. '.remove', { [class] = body.name })
    return {}
end)

serve('record_import', function(meta, body, items)
    local class, seen, rows, is_approved = class_of(body), {}, {}, {}
    for number, item in ipairs(items) do
        need(set(item.name), E.USAGE, 'item ' .. number .. ' has no name')
        local name, fields = named(item.name), fields_of(item)
        need(not rows[name], E.EXISTS,
            class .. ' ' .. name .. ' is in the list twice; remove one of the two rows')
        rows[name], is_approved[name] = fields, item.approved == 'yes'
    end
    for name, fields in pairs(rows) do
        unique_check(class, name, fields, seen, rows)
    end
    if body.check == 'yes' then
        return {}
    end
    local added, changed = 0, 0
    for name, fields in pairs(rows) do
        local known = call('EXISTS', record_key(class, name)) == 1
        if known then
            changed = changed + 1
        else
            added = added + 1
        end
        if is_approved[name] or not known then
            approve(meta, class, name)
        end
        R.record_write(class, name, fields)
    end
    audit(meta, class .. '.import', { added = added, changed = changed })
    return { added = added, changed = changed }
end)

serve('record_approve', function(meta, body)
    local class = class_of(body)
    record_load(class, body.name)
    R.keys_approve(meta, class, body.name)
    approve(meta, class, body.name)
    audit(meta, class .. '.approve', { [class] = body.name })
    return load(record_key(class, body.name))
end)

function R.hold(meta, name, reason)
    R.move(meta, 'hold', name, 'hold', { reason = reason },
        { target = name, text = reason })
end

serve('target_hold', function(meta, body)
    record_load('target', body.name)
    need(set(body.reason), E.USAGE, 'a hold needs a reason; give one with --reason TEXT')
    R.hold(meta, body.name, body.reason)
    return {}
end)

serve('target_unhold', function(meta, body)
    record_load('target', body.name)
    R.move(meta, 'hold', body.name, 'unhold', nil,
        { target = body.name, text = body.reason })
    return {}
end)

-- The passphrase that was made for the disk that is written next, sealed to an admin's key,
-- or none. Until it is written, which may never begin, the disk opens with the one of before.
function R.secret_keep(name, secret)
    local had = call('HGET', P .. 'secrets', name)
    if had and had ~= secret then
        call('HSETNX', P .. 'secrets-before', name, had)
    end
    if set(secret) then
        call('HSET', P .. 'secrets', name, secret)
    else
        call('HDEL', P .. 'secrets', name)
    end
end

function R.secret_written(name)
    call('HDEL', P .. 'secrets-before', name)
end

serve('target_secret', function(meta, body)
    record_load('target', body.name)
    local secret = call('HGET', P .. 'secrets', body.name) or nil
    local before = call('HGET', P .. 'secrets-before', body.name) or nil
    need(secret or before, E.NOT_FOUND, 'no passphrase was made for ' .. body.name
        .. '; one of luks-passphrase is in the file of its engine')
    audit(meta, 'target.secret', { target = body.name })
    return { name = body.name, secret = secret, ['secret-before'] = before }
end)

-- Targets of one engine with their hardware, for matching; with brief without it.
serve('target_page', function(meta, body)
    local items, cursor = page(P .. 'targets', meta.cursor, function(name)
        local record = load(record_key('target', name))
        if not record or record.engine ~= body.engine
            or not R.is('approval', record, 'approved') then
            return nil
        end
        record = with_live('target', record)
        record.held = R.is('hold', record, 'held') and 'yes' or nil
        return body.brief == 'yes' and without_bulk(record) or record
    end)
    return {}, items, cursor
end)

-- ---- Images

function R.image_find(text)
    local name = call('HGET', P .. 'image-ids', text or '') or text
    local record = set(name) and load(P .. 'image:' .. name)
    return need(record, E.NOT_FOUND, 'the image ' .. tostring(text)
        .. ' does not exist; see: ramet image list')
end

function R.image_write(meta, fields)
    fields.created = fields.created or wall()
    R.move(meta, 'image', fields.name, 'put', fields,
        { image = fields.name, id = fields.id, state = fields.state })
    call('HSET', P .. 'image-ids', fields.id, fields.name)
    call('ZREM', P .. 'removed', fields.id)
    call('PERSIST', P .. 'signatures:' .. fields.id)
end

-- A job is to make an image of this name.
function R.image_reserve(meta, name)
    need(not R.is_now('image', name, 'listed'), E.EXISTS, 'the image ' .. name
        .. ' exists already; choose another name')
    need(not R.is_now('image', name, 'making'), E.EXISTS,
        'a job that has not ended makes the image ' .. name)
    R.move(meta, 'image', name, 'reserve', { job = meta.job })
end

function R.image_is_reserved(name, uid)
    return call('HGET', P .. 'image-names', name) == uid
        and R.is_now('image', name, 'making')
end

-- A job has ended; if it made no image, the name is free again.
function R.image_drop(meta, name, uid)
    if call('HGET', P .. 'image-names', name) == uid then
        R.move(meta, 'image', name, 'drop')
    end
end

serve('image_list', function(meta)
    local items, cursor = page(P .. 'images', meta.cursor, function(name)
        local record = load(P .. 'image:' .. name)
        return record and without_bulk(record)
    end)
    return {}, items, cursor
end)

serve('image_show', function(meta, body)
    local image = R.image_find(body.name or body.id)
    image.signatures = R.signatures(image.id)
    return image
end)

-- The same system imaged twice is one image with two names; the last name takes the id
-- with it, and gc may take the descriptor out of the stores.
local function forget_id(image)
    if call('HGET', P .. 'image-ids', image.id) ~= image.name then
        return
    end
    call('HDEL', P .. 'image-ids', image.id)
    for _, name in ipairs(call('ZRANGE', P .. 'images', 0, -1)) do
        if call('HGET', P .. 'image:' .. name, 'id') == image.id then
            call('HSET', P .. 'image-ids', image.id, name)
            return
        end
    end
    call('ZADD', P .. 'removed', now(), image.id)
    call('DEL', P .. 'signatures:' .. image.id)
end

-- No open job may name the image.
local function image_need_unused(image)
    for _, uid in ipairs(call('SMEMBERS', P .. 'open')) do
        local job = load(P .. 'job:' .. uid) or {}
        need(job['image-name'] ~= image.name, E.REFUSED,
            'image ' .. image.name .. ' is in use by job ' .. (job.name or uid)
                .. ', which has not ended')
    end
end

local DESCRIPTION_MAX = 500

-- {name, description?, tags? (names with commas between)}: what people write on an image.
serve('image_set', function(meta, body)
    local image, fields = R.image_find(body.name), {}
    for field, value in pairs(body) do
        need(field == 'name' or field == 'description' or field == 'tags', E.USAGE,
            'an image has no field ' .. field .. ' that can be set; it has description and tags')
        need(#value <= DESCRIPTION_MAX and not string.find(value, '%c'), E.USAGE, 'the '
            .. field .. ' of an image has at most ' .. DESCRIPTION_MAX
            .. ' letters in one line')
        fields[field] = value
    end
    for _, tag in ipairs(words(fields.tags)) do
        need(string.find(tag, '^[a-z0-9][a-z0-9._-]*$'), E.USAGE, 'the tag "' .. tag
            .. '" is not a name; write tags such as tags=web,stable')
    end
    fields.name = nil
    fields.tags = fields.tags and table.concat(words(fields.tags), ',')
    store(P .. 'image:' .. image.name, fields)
    audit(meta, 'image.set', { image = image.name })
    return {}
end)

-- {name, to}: contents, signatures and pins are of the id, which stays.
serve('image_rename', function(meta, body)
    local image, to = R.image_find(body.name), named(body.to)
    local from = image.name
    image_need_unused(image)
    R.image_reserve({ job = 'rename' }, to)
    image.name = to
    R.move(meta, 'image', to, 'put', image, { image = to, id = image.id })
    R.move(meta, 'image', from, 'remove', nil, { image = from, id = image.id })
    if call('HGET', P .. 'image-ids', image.id) == from then
        call('HSET', P .. 'image-ids', image.id, to)
    end
    audit(meta, 'image.rename', { image = to, text = 'was ' .. from })
    return { name = to }
end)

serve('image_remove', function(meta, body)
    local image = R.image_find(body.name or body.id)
    image_need_unused(image)
    R.move(meta, 'image', image.name, 'remove', nil,
        { image = image.name, id = image.id })
    forget_id(image)
    return {}
end)

-- ---- Scripts

-- {engine, name, content | location and sha256, target?, select?, timeout-s?}
serve('script_add', function(meta, body)
    record_load('engine', body.engine)
    named(body.name)
    need(set(body.content) or set(body.location), E.USAGE,
        'script ' .. body.name .. ' is empty')
    need(#(body.content or '') <= 48 * 1024, E.TOO_BIG, 'script ' .. body.name .. ' has '
        .. #(body.content or '') .. ' bytes, limit 49152')
    need(not set(body.target) or call('EXISTS', record_key('target', body.target)) == 1,
        E.NOT_FOUND, 'the target ' .. (body.target or '')
            .. ' does not exist; see: ramet target list')
    matches({}, body.select)        -- Refuses what is no selection
    local before = load(P .. 'script:' .. body.engine .. ':' .. body.name)
    need(not before or body.force == 'yes' or (before.target or '') == (body.target or '')
            and (before.select or '') == (body.select or ''), E.EXISTS, 'script ' .. body.name
        .. ' of engine ' .. body.engine .. ' is for other targets; choose another name, or '
        .. 'replace it with --force')
    local seconds = body['timeout-s']
    need(not set(seconds) or string.find(seconds, '^[1-9]%d?%d?%d?%d?$'), E.USAGE,
        'the time limit of a script is 1 to 99999 seconds')
    local key = P .. 'script:' .. body.engine .. ':' .. body.name
    call('DEL', key)
    local fields = { engine = body.engine, name = body.name, hash = meta.hash or '',
        changed = wall() }
    for _, field in ipairs({ 'content', 'location', 'sha256', 'target', 'select',
        'timeout-s' }) do
        fields[field] = body[field] or ''
    end
    store(key, fields)
    call('ZADD', P .. 'scripts:' .. body.engine, 0, body.name)
    audit(meta, 'script.add', { engine = body.engine, name = body.name,
        hash = meta.hash, location = body.location or '' })
    return { name = body.name, hash = meta.hash or '' }
end)

local function script_page(engine, cursor, make)
    return page(P .. 'scripts:' .. engine, cursor, function(name)
        local record = load(P .. 'script:' .. engine .. ':' .. name)
        return record and make(record)
    end)
end

-- Of one engine, or of all, one after the other; then the cursor is engine/name.
serve('script_list', function(meta, body)
    if set(body.engine) then
        record_load('engine', body.engine)
        local items, cursor = script_page(body.engine, meta.cursor, without_bulk)
        return {}, items, cursor
    end
    local engine, name = string.match(meta.cursor or '', '^(.-)/(.*)$')
    if not set(name) then
        local min = engine and '(' .. engine or '-'
        engine = call('ZRANGEBYLEX', P .. 'engines', min, '+', 'LIMIT', 0, 1)[1]
    end
    if not engine then
        return {}, {}, ''
    end
    local items, cursor = script_page(engine, name, without_bulk)
    return {}, items, engine .. '/' .. cursor
end)

serve('script_page', function(meta, body)
    local target = load(record_key('target', named(body.target))) or {}
    local items, cursor = script_page(body.engine, meta.cursor, function(record)
        if set(record.target) and record.target ~= body.target
            or not matches(target, record.select) then
            return nil
        end
        return { name = record.name, content = record.content,
            location = record.location, sha256 = record.sha256,
            ['timeout-s'] = record['timeout-s'] }
    end)
    return {}, items, cursor
end)

serve('script_remove', function(meta, body)
    record_load('engine', body.engine)
    local key = P .. 'script:' .. body.engine .. ':' .. named(body.name)
    need(call('DEL', key) == 1, E.NOT_FOUND,
        'engine ' .. body.engine .. ' has no script ' .. body.name)
    call('ZREM', P .. 'scripts:' .. body.engine, body.name)
    audit(meta, 'script.remove', { engine = body.engine, name = body.name })
    return {}
end)
