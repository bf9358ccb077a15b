-- Trust roots of the farm, as the console gave them. Nothing here relies on one: every
-- program that does checks the signatures itself (docs/spec/7-trust.md).

local ROOT_MAX, ROOTS_MAX = 64 * 1024, 1000

-- {version, id, root}. A version that is there stays as it is.
serve('trust_publish', function(meta, body)
    local version, newest = num(body.version), num(call('GET', P .. 'root-newest'))
    need(version >= 1 and version == math.floor(version), E.USAGE,
        'the version of a trust root is a number from 1 on')
    need(string.find(body.id or '', '^01%x+$') and #body.id == 66, E.USAGE,
        'the id of the trust root is not an id')
    need(set(body.root) and #body.root <= ROOT_MAX, E.TOO_BIG, 'a trust root has 1 to '
        .. ROOT_MAX .. ' bytes')
    need(version <= newest + 1, E.REFUSED, 'the farm has no trust root ' .. newest + 1
        .. ' yet; publish that one first')
    need(version <= ROOTS_MAX, E.TOO_BIG, 'the farm has ' .. ROOTS_MAX .. ' trust roots')
    local key = P .. 'root:' .. str(version)
    local stands = call('HGET', key, 'root')
    if stands == body.root then
        return { version = version, id = body.id }
    end
    need(not stands, E.EXISTS, 'the farm has a trust root ' .. str(version)
        .. ' already; see: ramet trust show')
    put(key, { version = version, id = body.id, root = body.root, by = meta.name or meta.by or '',
        since = wall() })
    call('HSET', P .. 'roots', body.id, str(version))
    call('SET', P .. 'root-newest', str(math.max(version, newest)))
    audit(meta, 'trust.published', { version = version, id = body.id })
    return { version = version, id = body.id }
end)

-- {version} or {id}, or none for the newest.
serve('trust_root', function(_, body)
    local version = set(body.version) and body.version
        or set(body.id) and call('HGET', P .. 'roots', body.id)
        or not set(body.id) and call('GET', P .. 'root-newest')
    local root = version and load(P .. 'root:' .. version)
    return need(root, E.NOT_FOUND, 'the farm has no such trust root; give it one with: '
        .. 'ramet trust publish FILE')
end)

-- ---- Signatures of images, by id: one line of text of each key

local SIGNATURES_MAX = 64
local UNLISTED_S = 24 * 3600    -- An image that is imported has none of its names yet

-- The form of one; whether it is true is for its readers to know.
function R.signature_need(key, line)
    need(#(key or '') == 64 and string.find(key, '^%x+$'), E.USAGE,
        'the key of a signature has 64 hexadecimal digits')
    need(string.find(line or '', '^class=signature key=' .. key
        .. ' counter=%d+ signature=%x+\n$') and #line <= 512, E.USAGE,
        'the signature is not a line of text as ramet image sign makes it')
end

function R.signature_put(meta, id, key, line)
    call('HSET', P .. 'signatures:' .. id, key, line)
    audit(meta, 'image.signed', { id = id, key = key })
end

-- All of an image, as text; nil for none.
function R.signatures(id)
    local lines = {}
    for _, line in pairs(load(P .. 'signatures:' .. id) or {}) do
        lines[#lines + 1] = line
    end
    table.sort(lines)
    return #lines > 0 and table.concat(lines) or nil
end

-- {image: id, key, signature}
serve('image_sign', function(meta, body)
    need(string.find(body.image or '', '^01%x+$') and #body.image == 66, E.USAGE,
        'the image is not an id')
    R.signature_need(body.key, body.signature)
    local key = P .. 'signatures:' .. body.image
    need(call('HEXISTS', key, body.key) == 1 or call('HLEN', key) < SIGNATURES_MAX,
        E.TOO_BIG, 'the image has ' .. SIGNATURES_MAX .. ' signatures already')
    R.signature_put(meta, body.image, body.key, body.signature)
    if call('HEXISTS', P .. 'image-ids', body.image) == 0 then
        call('EXPIRE', key, UNLISTED_S)
    end
    return { image = body.image, key = body.key }
end)

-- The highest counter that a signature of the image names; for people, since none of the
-- signatures is looked at.
function R.release_of(id)
    local highest = 0
    for _, line in pairs(load(P .. 'signatures:' .. id) or {}) do
        highest = math.max(highest, num(string.match(line, 'counter=(%d+)')))
    end
    return highest
end

-- ---- Warrants: signed texts for the agents, carried unread

local WARRANT_MAX, WARRANTS_MAX = 16 * 1024, 20000
local UNUSED_S = 3600

local function batch_key(batch)
    need(#(batch or '') == 32 and string.find(batch, '^%x+$'), E.USAGE,
        'a batch of warrants is named by a uid')
    return P .. 'warrants:' .. batch
end

-- {batch}, items {target, warrant}: for a job that is about to be made.
serve('warrant_put', function(_, body, items)
    local key = batch_key(body.batch)
    need(call('HLEN', key) + #items <= WARRANTS_MAX, E.TOO_BIG, 'a batch has at most '
        .. WARRANTS_MAX .. ' warrants')
    for _, item in ipairs(items) do
        need(set(item.target) and set(item.warrant) and #item.warrant <= WARRANT_MAX,
            E.USAGE, 'an item needs a target and a warrant of at most ' .. WARRANT_MAX
            .. ' bytes')
    end
    for _, item in ipairs(items) do
        call('HSET', key, item.target, item.warrant)
    end
    call('EXPIRE', key, UNUSED_S)
    return { count = #items }
end)

-- The key of a batch. A target that does not fit has no warrant in it.
function R.warrants_need(batch)
    local key = batch_key(batch)
    need(call('HLEN', key) > 0, E.NOT_FOUND, 'the batch of warrants ' .. batch
        .. ' does not exist; give the command again')
    return key
end

function R.warrants_of(uid)
    return P .. 'job:' .. uid .. ':warrants'
end

function R.warrants_take(uid, from, targets)
    for _, target in ipairs(targets) do
        local text = call('HGET', from, target)
        if text then
            call('HSET', R.warrants_of(uid), target, text)
        end
    end
end

function R.warrant(uid, target)
    return call('HGET', R.warrants_of(uid), target)
end
