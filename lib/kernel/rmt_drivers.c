#include "kernel/rmt_drivers.h"
#include "base/rmt_auto.h"
#include "kernel/rmt_driver_index.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <czmq.h>
#include <libkmod.h>
#include <string.h>

#define PROGRAM "program:" // Before the name of one that the initramfs holds

typedef struct {
    rmt_served_t served;
    char *module;
} answer_t;

struct rmt_drivers {
    char *kernel;
    char *folder;
    bool has_initramfs;
    struct kmod_ctx *kmod;
    zhashx_t *early; // Modules that the initramfs holds
    zhashx_t *needs; // Names with blanks between, by module; what is built in is not here
    zhashx_t *builtin; // Modules that are part of the kernel
    zhashx_t *answers; // By name
};

static void
s_free_answer(void **item)
{
    answer_t *answer = *item;
    free(answer->module);
    free(answer);
    *item = NULL;
}

static void
s_free_text(void **item)
{
    free(*item);
    *item = NULL;
}

rmt_drivers_t *
rmt_drivers_new(const char *version, bool has_initramfs, rmt_error_t *error)
{
    assert(version);
    const char *temporary = getenv("TMPDIR");
    rmt_auto_str folder =
        rmt_text("%s/ramet-drivers-XXXXXX", temporary && *temporary ? temporary : "/tmp");
    if (!mkdtemp(folder)) {
        rmt_fail_errno(error, "make folder %s", folder);
        return NULL;
    }
    rmt_drivers_t *self = calloc(1, sizeof *self);
    assert(self);
    self->kernel =
        rmt_text("%s%s", version, has_initramfs ? "" : " (its initramfs was not read)");
    self->folder = rmt_take(&folder);
    self->has_initramfs = has_initramfs;
    self->early = zhashx_new();
    self->needs = zhashx_new();
    zhashx_set_destructor(self->needs, s_free_text);
    self->builtin = zhashx_new();
    self->answers = zhashx_new();
    zhashx_set_destructor(self->answers, s_free_answer);
    return self;
}

void
rmt_drivers_destroy(rmt_drivers_t **self_p)
{
    assert(self_p);
    rmt_drivers_t *self = rmt_take(self_p);
    if (!self)
        return;
    rmt_error_t ignored = {0};
    if (self->kmod)
        kmod_unref(self->kmod);
    (void) rmt_io_remove_tree(self->folder, &ignored);
    zhashx_destroy(&self->early);
    zhashx_destroy(&self->needs);
    zhashx_destroy(&self->builtin);
    zhashx_destroy(&self->answers);
    free(self->folder);
    free(self->kernel);
    free(self);
}

static void
s_add_early(rmt_drivers_t *self, const char *data, size_t size)
{
    rmt_auto_str text = rmt_text("%.*s", (int) size, data);
    char *rest = NULL;
    for (char *name = strtok_r(text, "\n", &rest); name;
         name = strtok_r(NULL, "\n", &rest))
        zhashx_update(self->early, name, self);
}

// "kernel/drivers/nvme/host/nvme-core.ko.xz" is nvme_core. In place; returns the name.
static char *
s_module_name(char *path)
{
    char *slash = strrchr(path, '/');
    char *name = slash ? slash + 1 : path;
    char *end = strstr(name, ".ko");
    if (end)
        *end = '\0';
    for (char *p = name; *p; p++)
        *p = *p == '-' ? '_' : *p;
    return name;
}

// Lines "path: path path". libkmod would want to see the files of all these.
static void
s_add_needs(rmt_drivers_t *self, const char *data, size_t size)
{
    rmt_auto_str text = rmt_text("%.*s", (int) size, data);
    char *lines = text;
    for (char *line = strsep(&lines, "\n"); line; line = strsep(&lines, "\n")) {
        char *colon = strchr(line, ':');
        if (!colon)
            continue;
        *colon = '\0';
        char *needs = rmt_text("%s", "");
        char *rest = NULL;
        for (char *path = strtok_r(colon + 1, " ", &rest); path;
             path = strtok_r(NULL, " ", &rest)) {
            char *longer =
                rmt_text("%s%s%s", needs, *needs ? " " : "", s_module_name(path));
            free(needs);
            needs = longer;
        }
        zhashx_update(self->needs, s_module_name(line), needs);
    }
}

static void
s_add_builtin(rmt_drivers_t *self, const char *data, size_t size)
{
    rmt_auto_str text = rmt_text("%.*s", (int) size, data);
    char *lines = text;
    for (char *line = strsep(&lines, "\n"); line; line = strsep(&lines, "\n"))
        if (*line)
            zhashx_update(self->builtin, s_module_name(line), self);
}

int
rmt_drivers_add(rmt_drivers_t *self, const char *name, const void *data, size_t size,
                rmt_error_t *error)
{
    static const char *const names[] = {"modules.alias.bin", "modules.builtin.alias.bin",
                                        "modprobe.conf"};
    assert(self);
    static const struct {
        const char *name;
        void (*add)(rmt_drivers_t *self, const char *data, size_t size);
    } texts[] = {{"initramfs", s_add_early},
                 {"modules.dep", s_add_needs},
                 {"modules.builtin", s_add_builtin}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strcmp(name, texts[i].name) == 0) {
            texts[i].add(self, data, size);
            return 0;
        }
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) != 0)
            continue;
        if (strstr(name, ".bin") && rmt_driver_index_check(data, size, error) == -1)
            return rmt_wrap(error, "%s", name);
        rmt_auto_str path = rmt_text("%s/%s", self->folder, name);
        return rmt_io_save(path, data, size, 0600, error);
    }
    return 0;
}

static void
s_silent(void *data, int priority, const char *file, int line, const char *function,
         const char *format, va_list arguments)
{
    (void) data, (void) priority, (void) file, (void) line, (void) function;
    (void) format, (void) arguments;
}

int
rmt_drivers_open(rmt_drivers_t *self, rmt_error_t *error)
{
    assert(self && !self->kmod);
    rmt_auto_str settings = rmt_text("%s/modprobe.conf", self->folder);
    const char *const paths[] = {settings, NULL};
    self->kmod = kmod_new(self->folder, paths);
    if (!self->kmod)
        return rmt_fail(error, RMT_E_IO, "libkmod cannot start");
    kmod_set_log_fn(self->kmod, s_silent, NULL);
    return 0;
}

// What a module needs must be there with it; the list names all, not only the next ones.
static rmt_served_t
s_judge(const rmt_drivers_t *self, const char *module)
{
    const char *needs = zhashx_lookup(self->needs, module);
    if (!needs)
        return RMT_SERVED_BUILTIN;
    if (!self->has_initramfs)
        return RMT_SERVED_EARLY;
    bool early = zhashx_lookup(self->early, module) != NULL;
    rmt_auto_str words = rmt_text("%s", needs);
    char *rest = NULL;
    for (char *word = strtok_r(words, " ", &rest); word;
         word = strtok_r(NULL, " ", &rest))
        early = early && zhashx_lookup(self->early, word);
    return early ? RMT_SERVED_EARLY : RMT_SERVED_LATE;
}

// "install X /bin/false" in the settings keeps a module out, as a blacklist does.
static bool
s_is_kept_out(const struct kmod_module *module)
{
    const char *command = kmod_module_get_install_commands(module);
    return command && (strstr(command, "/false") || strstr(command, "/true"));
}

static answer_t *
s_ask(rmt_drivers_t *self, const char *name)
{
    answer_t *answer = calloc(1, sizeof *answer);
    assert(answer);
    struct kmod_list *found = NULL;
    struct kmod_list *allowed = NULL;
    struct kmod_list *item;
    if (kmod_module_new_from_lookup(self->kmod, name, &found) < 0 ||
        kmod_module_apply_filter(self->kmod, KMOD_FILTER_BLACKLIST, found, &allowed) < 0)
        allowed = NULL;
    kmod_list_foreach(item, allowed)
    {
        struct kmod_module *module = kmod_module_get_module(item);
        const rmt_served_t served = s_is_kept_out(module)
                                        ? RMT_SERVED_NOT
                                        : s_judge(self, kmod_module_get_name(module));
        if (served > answer->served) {
            answer->served = served;
            free(answer->module);
            answer->module = rmt_text("%s", kmod_module_get_name(module));
        }
        kmod_module_unref(module);
    }
    kmod_module_unref_list(allowed);
    kmod_module_unref_list(found);
    return answer;
}

rmt_served_t
rmt_drivers_find(void *context, const char *name, const char *known,
                 const char **module_out)
{
    rmt_drivers_t *self = context;
    assert(self && self->kmod);
    if (strncmp(name, PROGRAM, strlen(PROGRAM)) == 0) {
        *module_out = "";
        return !self->has_initramfs || zhashx_lookup(self->early, name) ? RMT_SERVED_EARLY
                                                                        : RMT_SERVED_NOT;
    }
    answer_t *answer = zhashx_lookup(self->answers, name);
    if (!answer) {
        answer = s_ask(self, name);
        zhashx_insert(self->answers, name, answer);
    }
    *module_out = answer->module ? answer->module : "";
    if (answer->served != RMT_SERVED_NOT || !zhashx_lookup(self->builtin, known))
        return answer->served;
    *module_out = known;
    return RMT_SERVED_BUILTIN;
}

const char *
rmt_drivers_kernel(const rmt_drivers_t *self)
{
    return self->kernel;
}
