/* Records what processes do to the files of one directory, in order: preloaded, it stands between them and libc.
 *
 * RECORDED_DIRECTORY is the directory (flat), RECORDED_LOG the file that every record is added to. A record is a
 * head, then a name, another name and data. `powercut.py` reads them, and checks that none is missing: the files
 * that it makes of them must be those that are there in the end.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST_FILES 65536
#define NEXT(name) ((__typeof__(&name))next(#name))

struct head {
    uint32_t kind, first, second, unused; /* the kind, and how long both names are */
    uint64_t inode, offset, length;       /* of a file; of the data, or the new size */
};

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static char watched[MOST_FILES]; /* by descriptor: a file, or the directory itself */
static const char *directory;
static int out = -1;

static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void start(void) {
    const char *file = getenv("RECORDED_LOG");
    directory = getenv("RECORDED_DIRECTORY");
    if (file && directory)
        out = NEXT(open)(file, O_WRONLY | O_APPEND | O_CLOEXEC);
}

/* Of threads and of processes one at a time acts and records it. */
static void begin(void) {
    pthread_mutex_lock(&turn);
    flock(out, LOCK_EX);
}

static void end(void) {
    int kept = errno;
    flock(out, LOCK_UN);
    pthread_mutex_unlock(&turn);
    errno = kept;
}

static void record(char kind, const char *first, const char *second, uint64_t inode, uint64_t offset,
                   uint64_t length, const void *data) {
    int kept = errno;
    struct head head = {kind, strlen(first), strlen(second), 0, inode, offset, length};
    struct iovec parts[4] = {{&head, sizeof head},
                             {(void *)first, head.first},
                             {(void *)second, head.second},
                             {(void *)data, data ? length : 0}};
    if (writev(out, parts, 4) != (ssize_t)(sizeof head + head.first + head.second + parts[3].iov_len))
        abort();
    errno = kept;
}

/* A path's name in the directory, "" for the directory itself, NULL for any other path. */
static const char *inside(const char *path) {
    size_t length = directory ? strlen(directory) : 0;
    if (out < 0 || !length || strncmp(path, directory, length))
        return NULL;
    return path[length] == '/' ? path + length + 1 : path[length] ? NULL : path + length;
}

static int is_watched(int file) { return file >= 0 && file < MOST_FILES && watched[file]; }

static uint64_t inode(int file) {
    struct stat found;
    return fstat(file, &found) ? 0 : found.st_ino;
}

static int opened(int (*real)(const char *, int, ...), const char *path, int flags, mode_t mode) {
    const char *name = inside(path);
    if (!name)
        return real(path, flags, mode);
    begin();
    int file = real(path, flags, mode);
    if (file >= MOST_FILES)
        abort();
    if (file >= 0) {
        watched[file] = *name ? 'f' : 'd';
        if (*name)
            record(flags & O_TRUNC ? 'C' : 'O', name, "", inode(file), 0, 0, NULL);
    }
    end();
    return file;
}

#define OPEN(name)                                   \
    int name(const char *path, int flags, ...) {     \
        va_list more;                                \
        va_start(more, flags);                       \
        mode_t mode = va_arg(more, mode_t);          \
        va_end(more);                                \
        return opened(NEXT(name), path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

int close(int file) {
    if (is_watched(file))
        watched[file] = 0;
    return NEXT(close)(file);
}

ssize_t write(int file, const void *data, size_t length) {
    if (!is_watched(file))
        return NEXT(write)(file, data, length);
    begin();
    off_t at = lseek(file, 0, fcntl(file, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
    ssize_t done = NEXT(write)(file, data, length);
    if (done > 0)
        record('W', "", "", inode(file), at, done, data);
    end();
    return done;
}

#define PWRITE(name)                                                         \
    ssize_t name(int file, const void *data, size_t length, off_t at) {      \
        if (!is_watched(file))                                               \
            return NEXT(name)(file, data, length, at);                       \
        begin();                                                             \
        ssize_t done = NEXT(name)(file, data, length, at);                   \
        if (done > 0)                                                        \
            record('W', "", "", inode(file), at, done, data);                \
        end();                                                               \
        return done;                                                         \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define TRUNCATE(name)                                                       \
    int name(int file, off_t length) {                                       \
        if (!is_watched(file))                                               \
            return NEXT(name)(file, length);                                 \
        begin();                                                             \
        int failed = NEXT(name)(file, length);                               \
        if (!failed)                                                         \
            record('T', "", "", inode(file), 0, length, NULL);               \
        end();                                                               \
        return failed;                                                       \
    }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

#define SYNC(name)                                                           \
    int name(int file) {                                                     \
        if (!is_watched(file))                                               \
            return NEXT(name)(file);                                         \
        begin();                                                             \
        int failed = NEXT(name)(file);                                       \
        if (!failed)                                                         \
            record(watched[file] == 'd' ? 'D' : 'S', "", "", inode(file), 0, 0, NULL); \
        end();                                                               \
        return failed;                                                       \
    }
SYNC(fsync)
SYNC(fdatasync)

/* What changes names: of one, or of two of which the second is the new one. */
#define NAMES(kind, first, second, call)                                     \
    const char *old = inside(first), *new = inside(second);                  \
    if (!old && !new)                                                        \
        return call;                                                         \
    begin();                                                                 \
    int failed = call;                                                       \
    if (!failed)                                                             \
        record(kind, old ? old : "", new ? new : "", 0, 0, 0, NULL);         \
    end();                                                                   \
    return failed;

int unlink(const char *path) { NAMES('U', path, "", NEXT(unlink)(path)) }
int unlinkat(int at, const char *path, int flags) { NAMES('U', path, "", NEXT(unlinkat)(at, path, flags)) }
int rename(const char *from, const char *to) { NAMES('R', from, to, NEXT(rename)(from, to)) }
int link(const char *from, const char *to) { NAMES('L', from, to, NEXT(link)(from, to)) }
int renameat(int a, const char *from, int b, const char *to) { NAMES('R', from, to, NEXT(renameat)(a, from, b, to)) }
int linkat(int a, const char *from, int b, const char *to, int flags) {
    NAMES('L', from, to, NEXT(linkat)(a, from, b, to, flags))
}
