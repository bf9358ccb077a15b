-- Trust roots of the farm, as the console gave them. Nothing here relies on one: every
-- program that does checks the signatures itself (docs/spec/7-trust.md).

local ROOT_MAX = 64 * 1024

-- {version, id, root}. A version that is there gets more signatures, never another body.
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
    local key = P .. 'root:' .. str(version)
    local stands = call('HGET', key, 'id')
    need(not stands or stands == body.id, E.EXISTS, 'the farm has another trust root '
        .. str(version) .. ': ' .. str(stands))
    put(key, { version = version, id = body.id, root = body.root, by = meta.by or '',
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
