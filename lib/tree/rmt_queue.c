#include "tree/rmt_queue.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct rmt_queue {
    pthread_mutex_t mutex;
    pthread_cond_t work;  // A chore may have become gettable
    pthread_cond_t space; // The queue became shorter
    pthread_cond_t ready; // The first chore may be done
    rmt_chore_t *first, *last;
    rmt_chore_t *hint; // No chore before it is waiting
    size_t count, count_limit;
    size_t held, weight_limit;
    bool ended, stopped;
    rmt_error_t error;
};

rmt_queue_t *
rmt_queue_new(size_t count_limit, size_t weight_limit)
{
    assert(count_limit);
    rmt_queue_t *self = calloc(1, sizeof *self);
    assert(self);
    self->count_limit = count_limit;
    self->weight_limit = weight_limit;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->work, NULL);
    pthread_cond_init(&self->space, NULL);
    pthread_cond_init(&self->ready, &attributes);
    pthread_condattr_destroy(&attributes);
    return self;
}

void
rmt_queue_destroy(rmt_queue_t **self_p)
{
    rmt_queue_t *self = *self_p;
    if (!self)
        return;
    pthread_cond_destroy(&self->work);
    pthread_cond_destroy(&self->space);
    pthread_cond_destroy(&self->ready);
    pthread_mutex_destroy(&self->mutex);
    free(self);
    *self_p = NULL;
}

// ---- All of these hold the mutex.

static void
s_link(rmt_queue_t *self, rmt_chore_t *chore, rmt_chore_t *after)
{
    chore->state = RMT_CHORE_WAITING;
    chore->previous = after;
    chore->next = after ? after->next : NULL;
    if (after)
        after->next = chore;
    else
        self->first = chore;
    if (chore->next)
        chore->next->previous = chore;
    else
        self->last = chore;
    self->count++;
}

static void
s_unlink(rmt_queue_t *self, rmt_chore_t *chore)
{
    if (self->hint == chore)
        self->hint = chore->next;
    if (chore->previous)
        chore->previous->next = chore->next;
    else
        self->first = chore->next;
    if (chore->next)
        chore->next->previous = chore->previous;
    else
        self->last = chore->previous;
    chore->next = chore->previous = NULL;
    self->count--;
    pthread_cond_signal(&self->space);
    // Another chore is the first one now and may pass the budget; or all is over.
    pthread_cond_broadcast(&self->work);
    if (!self->first)
        pthread_cond_broadcast(&self->ready);
}

static rmt_chore_t *
s_find_waiting(rmt_queue_t *self)
{
    rmt_chore_t *chore = self->hint;
    while (chore && chore->state != RMT_CHORE_WAITING)
        chore = chore->next;
    self->hint = chore;
    if (!chore)
        return NULL;
    const bool fits = self->held + chore->weight <= self->weight_limit;
    return fits || chore == self->first ? chore : NULL;
}

// ---- Producer

bool
rmt_queue_put(rmt_queue_t *self, rmt_chore_t *chore, size_t weight)
{
    pthread_mutex_lock(&self->mutex);
    assert(!self->ended);
    while (!self->stopped && self->count >= self->count_limit)
        pthread_cond_wait(&self->space, &self->mutex);
    const bool accepted = !self->stopped;
    if (accepted) {
        chore->weight = weight;
        s_link(self, chore, self->last);
        if (!self->hint)
            self->hint = chore;
        pthread_cond_signal(&self->work);
    }
    pthread_mutex_unlock(&self->mutex);
    return accepted;
}

void
rmt_queue_put_after(rmt_queue_t *self, rmt_chore_t *chore, size_t weight,
                    rmt_chore_t *after)
{
    pthread_mutex_lock(&self->mutex);
    assert(after->state == RMT_CHORE_WORKING);
    chore->weight = weight;
    s_link(self, chore, after);
    // Other workers may have put chores before this one, so search from the start.
    self->hint = self->first;
    pthread_cond_signal(&self->work);
    pthread_mutex_unlock(&self->mutex);
}

void
rmt_queue_end(rmt_queue_t *self)
{
    pthread_mutex_lock(&self->mutex);
    self->ended = true;
    pthread_cond_broadcast(&self->work);
    pthread_cond_broadcast(&self->ready);
    pthread_mutex_unlock(&self->mutex);
}

// ---- Workers

rmt_chore_t *
rmt_queue_get(rmt_queue_t *self)
{
    rmt_chore_t *chore = NULL;
    pthread_mutex_lock(&self->mutex);
    while (!self->stopped && !(self->ended && !self->first)) {
        chore = s_find_waiting(self);
        if (chore)
            break;
        pthread_cond_wait(&self->work, &self->mutex);
    }
    if (chore) {
        chore->state = RMT_CHORE_WORKING;
        self->held += chore->weight;
        self->hint = chore->next;
    }
    pthread_mutex_unlock(&self->mutex);
    return chore;
}

void
rmt_queue_done(rmt_queue_t *self, rmt_chore_t *chore)
{
    pthread_mutex_lock(&self->mutex);
    chore->state = RMT_CHORE_DONE;
    if (chore == self->first)
        pthread_cond_broadcast(&self->ready);
    pthread_mutex_unlock(&self->mutex);
}

void
rmt_queue_finish(rmt_queue_t *self, rmt_chore_t *chore)
{
    pthread_mutex_lock(&self->mutex);
    self->held -= chore->weight;
    s_unlink(self, chore);
    pthread_mutex_unlock(&self->mutex);
}

// ---- Consumer

static struct timespec
s_deadline(int timeout_ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += timeout_ms / 1000;
    at.tv_nsec += (long) (timeout_ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

int
rmt_queue_take(rmt_queue_t *self, int timeout_ms, rmt_chore_t **chore_out)
{
    const struct timespec deadline = s_deadline(timeout_ms);
    int result = -1;
    pthread_mutex_lock(&self->mutex);
    while (!self->stopped) {
        if (self->first && self->first->state == RMT_CHORE_DONE) {
            *chore_out = self->first;
            s_unlink(self, self->first);
            result = 1;
            break;
        }
        if (self->ended && !self->first) {
            result = 0;
            break;
        }
        if (pthread_cond_timedwait(&self->ready, &self->mutex, &deadline) == ETIMEDOUT)
            break;
    }
    pthread_mutex_unlock(&self->mutex);
    return result;
}

void
rmt_queue_release(rmt_queue_t *self, rmt_chore_t *chore)
{
    pthread_mutex_lock(&self->mutex);
    assert(self->held >= chore->weight);
    self->held -= chore->weight;
    pthread_cond_broadcast(&self->work);
    pthread_mutex_unlock(&self->mutex);
}

void
rmt_queue_drain(rmt_queue_t *self)
{
    pthread_mutex_lock(&self->mutex);
    while (!self->stopped && self->first)
        pthread_cond_wait(&self->ready, &self->mutex);
    pthread_mutex_unlock(&self->mutex);
}

// ---- The end of it

void
rmt_queue_fail(rmt_queue_t *self, const rmt_error_t *error)
{
    pthread_mutex_lock(&self->mutex);
    if (!self->stopped)
        self->error = *error;
    self->stopped = true;
    pthread_cond_broadcast(&self->work);
    pthread_cond_broadcast(&self->space);
    pthread_cond_broadcast(&self->ready);
    pthread_mutex_unlock(&self->mutex);
}

int
rmt_queue_check(rmt_queue_t *self, rmt_error_t *error)
{
    int result = 0;
    pthread_mutex_lock(&self->mutex);
    if (self->stopped) {
        *error = self->error;
        result = -1;
    }
    pthread_mutex_unlock(&self->mutex);
    return result;
}

rmt_chore_t *
rmt_queue_reclaim(rmt_queue_t *self)
{
    pthread_mutex_lock(&self->mutex);
    rmt_chore_t *chore = self->first;
    if (chore)
        s_unlink(self, chore);
    pthread_mutex_unlock(&self->mutex);
    return chore;
}
