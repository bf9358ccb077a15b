#include "broker/aside.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct rmt_aside {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int ended_fd;
    bool has_thread;
    bool is_begun, is_ended, is_closing; // Under the lock
    rmt_aside_fn *work, *done;
    void *context;
};

rmt_aside_t *
rmt_aside_new(void)
{
    rmt_aside_t *self = calloc(1, sizeof *self);
    assert(self);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->changed, NULL);
    self->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert(self->ended_fd != -1);
    return self;
}

static void *
s_run(void *context)
{
    rmt_aside_t *self = context;
    pthread_mutex_lock(&self->lock);
    while (!self->is_closing) {
        if (!self->is_begun || self->is_ended) {
            pthread_cond_wait(&self->changed, &self->lock);
            continue;
        }
        pthread_mutex_unlock(&self->lock);
        self->work(self->context);
        pthread_mutex_lock(&self->lock);
        self->is_ended = true;
        (void) eventfd_write(self->ended_fd, 1);
        pthread_cond_broadcast(&self->changed);
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

void
rmt_aside_destroy(rmt_aside_t **self_p)
{
    assert(self_p);
    rmt_aside_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_lock(&self->lock);
    self->is_closing = true;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
    if (self->has_thread)
        pthread_join(self->thread, NULL);
    (void) close(self->ended_fd);
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

void
rmt_aside_begin(rmt_aside_t *self, rmt_aside_fn *work, rmt_aside_fn *done, void *context)
{
    assert(self && work && done && !self->is_begun);
    pthread_mutex_lock(&self->lock);
    self->work = work;
    self->done = done;
    self->context = context;
    self->is_begun = true;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
    if (!self->has_thread) {
        const int rc = pthread_create(&self->thread, NULL, s_run, self);
        assert(rc == 0);
        self->has_thread = true;
    }
}

int
rmt_aside_fd(const rmt_aside_t *self)
{
    return self->ended_fd;
}

void
rmt_aside_handle(rmt_aside_t *self)
{
    eventfd_t count;
    pthread_mutex_lock(&self->lock);
    const bool is_ended = self->is_ended;
    if (is_ended) {
        (void) eventfd_read(self->ended_fd, &count);
        self->is_begun = self->is_ended = false;
    }
    pthread_mutex_unlock(&self->lock);
    if (is_ended)
        self->done(self->context);
}

void
rmt_aside_wait(rmt_aside_t *self)
{
    pthread_mutex_lock(&self->lock);
    while (self->is_begun && !self->is_ended)
        pthread_cond_wait(&self->changed, &self->lock);
    pthread_mutex_unlock(&self->lock);
    rmt_aside_handle(self);
}
