-- Upkeep of the stores of places: jobs of one task, pins, what was removed from the
-- catalogue, and the findings of such jobs.

local FINDINGS_MAX = 10000      -- Of one job; its counts go on
local GC_AGE_S = 24 * 3600

-- Every place has imagers or is an engine.
local function place_need(place)
    named(place)
    local known = call('SISMEMBER', P .. 'sending', place) == 1
        or call('EXISTS', P .. 'engine:' .. place) == 1
    return need(known and place, E.NOT_FOUND, 'the place ' .. place
        .. ' does not exist; see: ramet doctor')
end

local function open_jobs(fn)
    for _, uid in ipairs(call('SMEMBERS', P .. 'open')) do
        local job = load(P .. 'job:' .. uid)
        if job then
            fn(job)
        end
    end
end

-- True for a job that puts chunks into the store of a place.
local function fills(job, place)
    if job.kind == 'image' or job.kind == 'import' then
        return job.place == place
    end
    local has_begun = job.kind == 'deploy' and job.stage ~= 'wait'
    for _, engine in ipairs(has_begun and words(job.engines) or {}) do
        if engine == place then
            return true
        end
    end
    return false
end

-- ---- Jobs

local function number_need(body, name)
    need(not set(body[name]) or string.find(body[name], '^%d+$'), E.USAGE,
        'the value of ' .. name .. ' must be a number')
    return set(body[name]) and body[name] or nil
end

serve('store_check', function(meta, body)
    return R.job_new(meta, 'check', { place = place_need(body.place),
        at = body.place, deep = body.deep == 'yes' and 'yes' or 'no' })
end)

serve('store_scrub', function(meta, body)
    return R.job_new(meta, 'scrub', { place = place_need(body.place), at = body.place,
        rate = number_need(body, 'rate') or '0',
        again = body.again == 'yes' and 'yes' or 'no' })
end)

-- How long a job has run, since its time had come. The farm's clock stands still while no
-- broker is there, and the time of day may have been set back: the longer one counts.
local function runs_s(job)
    local by_farm, by_day = now() - num(job.began), wall() - num(job.begun, num(job.created))
    return math.max(by_farm, by_day) / 1000
end

-- What a running job has found present may be marked already, so the age of marks that
-- count must be longer than any such job has run.
serve('store_gc', function(meta, body)
    local place = place_need(body.place)
    local age_s = num(number_need(body, 'age-s'), GC_AGE_S)
    open_jobs(function(job)
        local ran_s = runs_s(job)
        need(not fills(job, place) or ran_s < age_s, E.REFUSED, 'job ' .. job.name
            .. ' fills the store of ' .. place .. ' for ' .. math.floor(ran_s)
            .. ' s already; --age must be more than that, and is ' .. age_s .. ' s')
    end)
    return R.job_new(meta, 'gc', { place = place, at = place, ['age-s'] = age_s })
end)

-- {image, place?}: at its own place, or at an engine that holds it; with against the
-- machine of that name compares itself with the image.
serve('image_verify', function(meta, body)
    local image = R.image_find(body.image)
    local fields = { image = image.id, ['image-name'] = image.name, place = image.place }
    if not set(body.against) then
        fields.place = set(body.place) and place_need(body.place) or image.place
        fields.at = fields.place
        return R.job_new(meta, 'verify', fields)
    end
    local role, name = string.match(body.against, '^(%a+)/(.+)$')
    name = named(name or body.against)
    need(not role or role == 'source' or role == 'target', E.USAGE,
        'a machine is source/NAME or target/NAME')
    local is_known = false
    for _, class in ipairs({ 'source', 'target' }) do
        is_known = is_known or call('EXISTS', P .. class .. ':' .. name) == 1
        if not fields.at and (role or class) == class
            and R.offered('compare@' .. class .. '/' .. name) then
            fields.at = class .. '/' .. name
        end
    end
    need(is_known, E.NOT_FOUND, 'the machine ' .. body.against .. ' does not exist')
    need(fields.at, E.UNAVAILABLE, 'the agent of ' .. body.against .. ' is absent; start it')
    local lock = fields.at == 'target/' .. name and load(P .. 'lock:' .. name)
    need(not lock, E.LOCKED, 'target ' .. name .. ' is locked by job '
        .. (lock and lock.job or ''))
    fields.ignore = body.ignore or ''
    fields.all = body.all == 'yes' and 'yes' or 'no'
    return R.job_new(meta, 'compare', fields)
end)

-- ---- Images that have left the catalogue

-- For gc of the caller's place: ids whose descriptors may leave its store. None while a
-- job may have saved one of them that the catalogue does not show yet.
serve('image_removed', function(meta, body)
    local place, busy = meta.place, nil
    open_jobs(function(job)
        if fills(job, place) and (job.stage == 'commit' or job.stage == 'build') then
            busy = job.name
        end
    end)
    if busy then
        return { busy = busy }
    end
    local first, items = num(meta.cursor), {}
    local ids = call('ZRANGE', P .. 'removed', first, first + PAGE_ITEMS - 1)
    for _, id in ipairs(ids) do
        if not call('HGET', P .. 'image-ids', id)
            and call('HEXISTS', P .. 'pins:' .. place, id) == 0 then
            items[#items + 1] = { id = id }
        end
    end
    return {}, items, #ids == PAGE_ITEMS and str(first + PAGE_ITEMS) or ''
end)

-- Images that the catalogue says are at the caller's place.
serve('image_placed', function(meta)
    local items, cursor = page(P .. 'images', meta.cursor, function(name)
        local record = load(P .. 'image:' .. name)
        if not record or record.place ~= meta.place then
            return nil
        end
        return { name = name, id = record.id }
    end)
    return {}, items, cursor
end)

-- ---- Pins

-- An id may be one that has left the catalogue.
local function pin_id(text)
    if string.find(text or '', '^01%x+$') and #text == 66 then
        return text, call('HGET', P .. 'image-ids', text) or ''
    end
    local image = R.image_find(text)
    return image.id, image.name
end

-- {place, image, reason?}
serve('store_pin', function(meta, body)
    local place = place_need(body.place)
    local id, name = pin_id(body.image)
    call('HSET', P .. 'pins:' .. place, id, cmsgpack.pack({ id = id, name = name,
        reason = body.reason or '', by = meta.name or meta.by or '', since = wall() }))
    audit(meta, 'store.pin', { place = place, image = name, id = id, text = body.reason })
    return { place = place, image = name, id = id }
end)

serve('store_unpin', function(meta, body)
    local place = place_need(body.place)
    local id, name = pin_id(body.image)
    need(call('HDEL', P .. 'pins:' .. place, id) == 1, E.NOT_FOUND,
        'image ' .. body.image .. ' is not pinned at ' .. place)
    audit(meta, 'store.unpin', { place = place, image = name, id = id })
    return { place = place, image = name, id = id }
end)

serve('store_pins', function(meta, body)
    local place, items = place_need(body.place), {}
    local all = call('HGETALL', P .. 'pins:' .. place)
    local first = num(meta.cursor)
    for i = first * 2 + 1, math.min(#all, (first + PAGE_ITEMS) * 2), 2 do
        items[#items + 1] = cmsgpack.unpack(all[i + 1])
    end
    return {}, items, #all > (first + PAGE_ITEMS) * 2 and str(first + PAGE_ITEMS) or ''
end)

-- ---- Findings

-- {task, attempt, at}, items: what a task in the caller's hands has found, at being how
-- many came before; so a page that travels twice counts once.
serve('finding_put', function(meta, body, items)
    local task = R.task_load(body.task)
    need(not task or task.worker == meta.by or num(body.attempt) < num(task.attempt),
        E.NOT_ALLOWED, 'the task is not in the hands of this worker')
    R.task_held_need(meta, body)
    local key, at = P .. 'job:' .. task.job .. ':findings', num(body.at)
    if at == 0 then
        call('DEL', key)
    else
        call('LTRIM', key, 0, at - 1)
    end
    need(call('LLEN', key) == math.min(at, FINDINGS_MAX), E.REFUSED,
        'findings before number ' .. at .. ' are missing')
    for i, item in ipairs(items) do
        if at + i <= FINDINGS_MAX then
            call('RPUSH', key, cmsgpack.pack(item))
        end
    end
    return {}
end)

serve('job_findings', function(meta, body)
    local job, first, items, bytes = R.job_find(body.job), num(meta.cursor), {}, 0
    local key = P .. 'job:' .. job.id .. ':findings'
    for _, packed in ipairs(call('LRANGE', key, first, first + PAGE_ITEMS - 1)) do
        items[#items + 1] = cmsgpack.unpack(packed)
        bytes = bytes + #packed
        if bytes > PAGE_BYTES then
            break
        end
    end
    local more = #items > 0 and first + #items < call('LLEN', key)
    return { job = job.id }, items, more and str(first + #items) or ''
end)
