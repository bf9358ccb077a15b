-- States: what each kind of thing can be, and which event leads from one to the next.
-- docs/spec/6-states.md says the same in words; a test compares the two row by row.
--
-- R.move is the only function that changes a state. Functions ask R.can or R.is before
-- their first write, so a refusal of R.move after one is a fault of this library.

-- Kinds. A kind has:
--   code    of a refusal
--   rows    {from, event, to, entry}; entry: the word of the audit stream, if there is one
--   sets    {word, state...}: a word for several states; each state is one for itself
--   tells   the audit entry carries the new state
--   key     of the record, from the id
--   of      state of a loaded record (nil: there is none)
--   peek    state from the id, with as little reading as possible
--   write   fields and new state
--   moved   what hangs on the state: function(id, from, to)
-- A kind that gives no of, peek and write keeps its state in the field "state".
local KINDS = {}
R.kinds = KINDS

local function field_of(record)
    return record and record.state or 'none'
end

-- Index the rows by event and state, the sets by word. While a library is loaded Redis
-- has no functions such as ipairs.
local function kind(name, def)
    def.next, def.words = {}, {}
    for i = 1, #def.rows do
        local from, event, to = def.rows[i][1], def.rows[i][2], def.rows[i][3]
        def.next[event] = def.next[event] or {}
        def.next[event][from] = def.rows[i]
        def.words[from], def.words[to] = { [from] = true }, { [to] = true }
    end
    for i = 1, #def.sets do
        local states = {}
        for n = 2, #def.sets[i] do
            states[def.sets[i][n]] = true
        end
        def.words[def.sets[i][1]] = states
    end
    def.of = def.of or field_of
    def.peek = def.peek or function(id)
        return call('HGET', def.key(id), 'state') or 'none'
    end
    def.write = def.write or function(id, fields, to)
        fields.state = to
        put(def.key(id), fields)
    end
    KINDS[name] = def
end

kind('job', {
    code = E.REFUSED, tells = true,
    rows = {
        { 'none', 'submit', 'queued', 'job.submit' },
        { 'queued', 'begin', 'running', 'job.state' },
        { 'queued', 'fail', 'failed', 'job.end' },
        { 'queued', 'cancel', 'cancelled', 'job.end' },
        { 'running', 'begin', 'running' },
        { 'running', 'finish', 'done', 'job.end' },
        { 'running', 'finish-in-part', 'partial', 'job.end' },
        { 'running', 'fail', 'failed', 'job.end' },
        { 'running', 'cancel', 'cancelled', 'job.end' },
    },
    sets = { { 'open', 'queued', 'running' },
        { 'ended', 'done', 'partial', 'failed', 'cancelled' } },
    key = function(id) return P .. 'job:' .. id end,
})

-- The id is that of the job, ":t:" and the target.
kind('job-target', {
    code = E.REFUSED, tells = true,
    rows = {
        { 'none', 'add', 'waiting' },
        { 'waiting', 'lock', 'locked', 'job.target' },
        { 'waiting', 'fail', 'failed', 'job.target' },
        { 'waiting', 'cancel', 'cancelled', 'job.target' },
        { 'locked', 'begin', 'running', 'job.target' },
        { 'locked', 'fail', 'failed', 'job.target' },
        { 'locked', 'cancel', 'cancelled', 'job.target' },
        { 'running', 'confirm', 'done', 'job.target' },
        { 'running', 'fail', 'failed', 'job.target' },
        { 'running', 'cancel', 'cancelled', 'job.target' },
        { 'failed', 'confirm', 'done', 'job.target' },
        { 'cancelled', 'confirm', 'done', 'job.target' },
    },
    sets = { { 'open', 'waiting', 'locked', 'running' },
        { 'to-begin', 'waiting', 'locked' },
        { 'ended', 'done', 'failed', 'cancelled' } },
    key = function(id) return P .. 'job:' .. id end,
    -- A job counts its targets by state, and lists those that can begin.
    moved = function(id, from, to)
        local uid, target = string.match(id, '^(%x+):t:(.+)$')
        if from == 'none' then
            return -- The new job has its count
        end
        call('HINCRBY', P .. 'job:' .. uid, 't-' .. from, -1)
        call('HINCRBY', P .. 'job:' .. uid, 't-' .. to, 1)
        if from == 'locked' then
            call('ZREM', P .. 'job:' .. uid .. ':ready', target)
        end
    end,
})

kind('task', {
    code = E.FENCED,
    rows = {
        { 'none', 'put', 'queued' },
        { 'queued', 'take', 'leased', 'task.taken' },
        { 'queued', 'cancel', 'cancelled' },
        { 'leased', 'lapse', 'silent', 'task.silent' },
        { 'leased', 'return', 'queued', 'task.again' },
        { 'leased', 'finish', 'done', 'task.result' },
        { 'leased', 'fail', 'failed', 'task.result' },
        { 'leased', 'cancel', 'cancelled' },
        { 'silent', 'beat', 'leased', 'task.heard' },
        { 'silent', 'return', 'queued', 'task.again' },
        { 'silent', 'finish', 'done', 'task.result' },
        { 'silent', 'fail', 'failed', 'task.result' },
        { 'silent', 'cancel', 'cancelled' },
        { 'done', 'repeat', 'queued', 'task.again' },
        { 'failed', 'repeat', 'queued', 'task.again' },
    },
    sets = { { 'open', 'queued', 'leased', 'silent' },
        { 'in-hand', 'leased', 'silent' },
        { 'ended', 'done', 'failed', 'cancelled' } },
    key = function(id) return P .. 'task:' .. id end,
})

kind('lock', {
    code = E.LOCKED,
    rows = {
        { 'free', 'take', 'taken', 'lock.taken' },
        { 'taken', 'take-over', 'taken', 'lock.taken' },
        { 'taken', 'arm', 'armed' },
        { 'taken', 'release', 'free', 'lock.cleared' },
        { 'taken', 'break', 'free', 'lock.cleared' },
        { 'armed', 'take-over', 'taken', 'lock.taken' },
        { 'armed', 'arm', 'armed' },
        { 'armed', 'confirm', 'free', 'lock.cleared' },
        { 'armed', 'break', 'free', 'lock.cleared' },
    },
    sets = {},
    key = function(id) return P .. 'lock:' .. id end,
    of = function(record)
        return not record and 'free' or set(record.armed) and 'armed' or 'taken'
    end,
    peek = function(id)
        local found = call('HMGET', P .. 'lock:' .. id, 'job', 'armed')
        return not found[1] and 'free' or set(found[2]) and 'armed' or 'taken'
    end,
    write = function(id, fields, to)
        if to ~= 'armed' then
            call('DEL', P .. 'lock:' .. id)
        end
        if to == 'free' then
            call('ZREM', P .. 'locks', id)
            return
        end
        fields.armed = to == 'armed' and 'yes' or nil
        put(P .. 'lock:' .. id, fields)
        call('ZADD', P .. 'locks', 0, id)
    end,
})

kind('key', {
    code = E.REFUSED, tells = true,
    rows = {
        { 'none', 'announce', 'pending', 'key.enrol' },
        { 'none', 'enrol', 'approved', 'key.enrol' },
        { 'none', 'make', 'approved', 'key.firstboot' },
        { 'none', 'rotate', 'approved', 'key.rotate' },
        { 'pending', 'approve', 'approved', 'key.approve' },
        { 'pending', 'revoke', 'revoked', 'key.revoke' },
        { 'approved', 'make', 'approved', 'key.firstboot' },
        { 'approved', 'replace', 'revoked', 'key.replaced' },
        { 'approved', 'revoke', 'revoked', 'key.revoke' },
        { 'approved', 'use', 'used', 'key.used' },
        { 'used', 'revoke', 'revoked', 'key.revoke' },
    },
    sets = { { 'ended', 'revoked', 'used' } },
    key = function(id) return P .. 'key:' .. id end,
})

-- Of the record of a target: the field "held" has the reason.
kind('hold', {
    code = E.REFUSED, tells = true,
    rows = {
        { 'free', 'hold', 'held', 'target.hold' },
        { 'free', 'unhold', 'free', 'target.unhold' },
        { 'held', 'hold', 'held', 'target.hold' },
        { 'held', 'unhold', 'free', 'target.unhold' },
    },
    sets = {},
    key = function(id) return P .. 'target:' .. id end,
    of = function(record) return record and set(record.held) and 'held' or 'free' end,
    peek = function(id)
        return set(call('HGET', P .. 'target:' .. id, 'held')) and 'held' or 'free'
    end,
    write = function(id, fields, to)
        put(P .. 'target:' .. id, { held = to == 'held' and fields.reason or '' })
    end,
})

-- Of the record of a target: the field "protected" has the reason.
kind('protection', {
    code = E.REFUSED, tells = true,
    rows = {
        { 'free', 'protect', 'protected', 'target.protect' },
        { 'free', 'unprotect', 'free', 'target.unprotect' },
        { 'protected', 'protect', 'protected', 'target.protect' },
        { 'protected', 'unprotect', 'free', 'target.unprotect' },
    },
    sets = {},
    key = function(id) return P .. 'target:' .. id end,
    of = function(record)
        return record and set(record.protected) and 'protected' or 'free'
    end,
    peek = function(id)
        return set(call('HGET', P .. 'target:' .. id, 'protected')) and 'protected' or 'free'
    end,
    write = function(id, fields, to)
        put(P .. 'target:' .. id, { protected = to == 'protected' and fields.reason or '' })
    end,
})

-- Of the record of a source, an engine or a target; the id is "class:name".
local APPROVAL = { none = '', pending = 'pending', approved = 'yes' }
kind('approval', {
    code = E.REFUSED,
    rows = {
        { 'none', 'announce', 'pending' },
        { 'none', 'approve', 'approved' },
        { 'pending', 'announce', 'pending' },
        { 'pending', 'approve', 'approved' },
        { 'pending', 'remove', 'none' },
        { 'approved', 'announce', 'approved' },
        { 'approved', 'approve', 'approved' },
        { 'approved', 'remove', 'none' },
    },
    sets = {},
    key = function(id) return P .. id end,
    of = function(record)
        local is_approved = record and record.approved == 'yes'
        return not record and 'none' or is_approved and 'approved' or 'pending'
    end,
    peek = function(id)
        local found = call('HMGET', P .. id, 'name', 'approved')
        local is_there = found[1] or found[2]
        return not is_there and 'none' or found[2] == 'yes' and 'approved' or 'pending'
    end,
    write = function(id, _, to)
        if to == 'none' then
            call('DEL', P .. id)
        else
            call('HSET', P .. id, 'approved', APPROVAL[to])
        end
    end,
})

-- A name of the catalogue.
kind('image', {
    code = E.EXISTS,
    rows = {
        { 'free', 'reserve', 'making' },
        { 'making', 'drop', 'free' },
        { 'making', 'put', 'listed', 'image.put' },
        { 'listed', 'remove', 'free', 'image.remove' },
    },
    sets = {},
    key = function(id) return P .. 'image:' .. id end,
    peek = function(id)
        return call('EXISTS', P .. 'image:' .. id) == 1 and 'listed'
            or call('HEXISTS', P .. 'image-names', id) == 1 and 'making' or 'free'
    end,
    write = function(id, fields, to)
        if to == 'making' then
            call('HSET', P .. 'image-names', id, fields.job)
            return
        end
        call('HDEL', P .. 'image-names', id)
        if to == 'listed' then
            put(P .. 'image:' .. id, fields)
            call('ZADD', P .. 'images', 0, id)
        else
            call('DEL', P .. 'image:' .. id)
            call('ZREM', P .. 'images', id)
        end
    end,
})

-- The texts of errors are put together only when there is one: this is asked all the time.
local function row_of(def, kind, event, state)
    local rows = def.next[event]
        or fail(E.INTERNAL, 'no event ' .. tostring(event) .. ' of kind ' .. kind)
    return rows[state]
end

local function states_of(def, kind, word)
    return def.words[word] or fail(E.INTERNAL, 'no state ' .. word .. ' of kind ' .. kind)
end

-- Is a loaded record in the state, or in the set of states, that the word names?
function R.is(kind, record, word)
    local def = KINDS[kind]
    return states_of(def, kind, word)[def.of(record)] == true
end

-- State of a loaded record.
function R.state(kind, record)
    return KINDS[kind].of(record)
end

-- Is it in such a state now? The state is read from the id.
function R.is_now(kind, id, word)
    local def = KINDS[kind]
    return states_of(def, kind, word)[def.peek(id)] == true
end

-- May the event happen to a loaded record?
function R.can(kind, record, event)
    local def = KINDS[kind]
    return row_of(def, kind, event, def.of(record)) ~= nil
end

-- The state that an event leads to from this one, or nil.
function R.after(kind, state, event)
    local row = (KINDS[kind].next[event] or {})[state]
    return row and row[3]
end

-- Let an event happen: find its row, write the new state and the other fields, do what
-- hangs on the state, and append the row's audit entry, of which note has the fields.
-- from: the state, if the caller has read it in this call and changed nothing since; else
-- it is read here. Gives the new state. Refuses with the kind's code, before any write,
-- what the table does not have.
function R.move(meta, kind, id, event, fields, note, from)
    local def = KINDS[kind]
    from = from or def.peek(id)
    local row = row_of(def, kind, event, from)
        or fail(def.code, kind .. ' ' .. id .. ' is ' .. from .. '; it cannot ' .. event)
    local to, entry = row[3], row[4]
    def.write(id, fields or {}, to)
    if def.moved and from ~= to then
        def.moved(id, from, to)
    end
    if entry then
        note = note or {}
        if def.tells then
            note.state = to
        end
        audit(meta, entry, note)
    end
    return to
end

-- What people are told of a target: locked, protected, held or free.
function R.availability(lock, record)
    return lock and 'locked' or R.is('protection', record, 'protected') and 'protected'
        or R.is('hold', record, 'held') and 'held' or 'free'
end

-- The same of a target by its name.
function R.availability_now(lock, name)
    local found = call('HMGET', P .. 'target:' .. name, 'held', 'protected', 'identity')
    local record = { name = name, held = found[1] or nil, protected = found[2] or nil,
        identity = found[3] or nil }
    record.protected = R.forbidden(record)
    return R.availability(lock, record)
end

-- COMPLETE, FUZZY and INCOMPLETE say what was read; no event changes them.
function R.image_is_incomplete(image)
    return image.state == 'INCOMPLETE'
end
