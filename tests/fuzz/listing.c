#include "fuzz/listing.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "fuzz/must.h"

typedef struct {
    FILE *out;
    int what;
} listing_t;

// FNV-1a: nothing here is made to collide.
static uint64_t
s_digest(int folder_fd, const char *name)
{
    uint64_t digest = UINT64_C(0xcbf29ce484222325);
    rmt_auto_fd fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    MUST(fd != -1);
    uint8_t piece[4096];
    ssize_t size;
    while ((size = read(fd, piece, sizeof piece)) > 0)
        for (ssize_t i = 0; i < size; i++)
            digest = (digest ^ piece[i]) * UINT64_C(0x100000001b3);
    MUST(size == 0);
    return digest;
}

// That a name is there, and of which kind.
static void
s_tell_kind(const listing_t *self, int folder_fd, const char *name, const char *path)
{
    struct stat status;
    MUST(fstatat(folder_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0);
    fprintf(self->out, "%s %o inode %llu\n", path, status.st_mode & S_IFMT,
            (unsigned long long) status.st_ino);
}

static void
s_tell(const listing_t *self, int folder_fd, const char *name, const char *path)
{
    struct stat status;
    MUST(fstatat(folder_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0);
    fprintf(self->out, "%s %o %u:%u dev %llx", path, status.st_mode, status.st_uid,
            status.st_gid, (unsigned long long) status.st_rdev);
    if (self->what & LISTING_TIMES)
        fprintf(self->out, " inode %llu links %llu times %lld.%09ld %lld.%09ld",
                (unsigned long long) status.st_ino, (unsigned long long) status.st_nlink,
                (long long) status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                (long long) status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
    if (S_ISREG(status.st_mode))
        fprintf(self->out, " size %lld digest %016llx", (long long) status.st_size,
                (unsigned long long) s_digest(folder_fd, name));
    char target[4096];
    const ssize_t size =
        S_ISLNK(status.st_mode) ? readlinkat(folder_fd, name, target, sizeof target) : 0;
    fprintf(self->out, " -> %.*s\n", (int) size, target);
}

static void s_walk(const listing_t *self, int folder_fd, const char *path,
                   const char *except);

// A name, and what is below it.
static void
s_visit(const listing_t *self, int folder_fd, const char *name, const char *path)
{
    s_tell(self, folder_fd, name, path);
    rmt_auto_fd fd =
        openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd != -1)
        s_walk(self, fd, path, NULL);
}

static void
s_walk(const listing_t *self, int folder_fd, const char *path, const char *except)
{
    struct dirent **entries = NULL;
    const int count = scandirat(folder_fd, ".", &entries, NULL, alphasort);
    MUST(count >= 0);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            rmt_auto_str below = rmt_text("%s/%s", path, name);
            if (except && strcmp(name, except) == 0)
                s_tell_kind(self, folder_fd, name, below);
            else
                s_visit(self, folder_fd, name, below);
        }
        free(entries[i]);
    }
    free(entries);
}

char *
listing_of(int folder_fd, int what, const char *except)
{
    char *text = NULL;
    size_t size = 0;
    const listing_t self = {open_memstream(&text, &size), what};
    MUST(self.out);
    s_tell(&self, folder_fd, ".", ".");
    s_walk(&self, folder_fd, ".", except);
    fclose(self.out);
    return text;
}
