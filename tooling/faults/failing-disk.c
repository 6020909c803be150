// Makes chosen file calls below one directory fail, stop half-way or kill the process. Loaded with LD_PRELOAD; README.md
// says what the FAULT_ variables mean. It holds no state but a counter, so threads may do what they like.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef FICLONE
#define FICLONE 0x40049409
#define FICLONERANGE 0x4020940D
#endif

enum call {
  OPEN, CREATE, READ, PREAD, WRITE, PWRITE, FSYNC, FDATASYNC, FTRUNCATE, RENAME, LINK, SYMLINK, UNLINK, MKDIR, RMDIR,
  CHMOD, COPY_FILE_RANGE, SENDFILE, FICLONE_IOCTL, CALLS
};
static const char *const call_names[CALLS] = {
  "open", "create", "read", "pread", "write", "pwrite", "fsync", "fdatasync", "ftruncate", "rename", "link", "symlink",
  "unlink", "mkdir", "rmdir", "chmod", "copy_file_range", "sendfile", "ficlone"
};

static const struct { const char *name; int value; } errnos[] = {
  {"EACCES", EACCES}, {"EAGAIN", EAGAIN}, {"EBUSY", EBUSY}, {"EDQUOT", EDQUOT}, {"EEXIST", EEXIST}, {"EFBIG", EFBIG},
  {"EINTR", EINTR}, {"EINVAL", EINVAL}, {"EIO", EIO}, {"EMFILE", EMFILE}, {"EMLINK", EMLINK}, {"ENFILE", ENFILE},
  {"ENODEV", ENODEV}, {"ENOENT", ENOENT}, {"ENOMEM", ENOMEM}, {"ENOSPC", ENOSPC}, {"ENOTDIR", ENOTDIR},
  {"ENOTSUP", ENOTSUP}, {"EPERM", EPERM}, {"EROFS", EROFS}, {"ESTALE", ESTALE}, {"ETXTBSY", ETXTBSY}, {"EXDEV", EXDEV}
};

static char prefix[PATH_MAX];
static size_t prefix_length;
static char log_path[PATH_MAX];
static unsigned selected;
static int fault_errno;
static int fault_short;
static int fault_kill;
static long fault_after;
static long fault_count = LONG_MAX;
static atomic_long matches;

#define REAL(name) \
  ({ \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
    real; \
  })

// ---- configuration

static void refuse(const char *variable, const char *value) {
  dprintf(STDERR_FILENO, "failing-disk: %s: \"%s\" is not known or not valid\n", variable, value);
  _exit(97);
}

static long number_of(const char *variable, long otherwise) {
  const char *text = getenv(variable);
  if (!text || !*text) return otherwise;
  char *end;
  errno = 0;
  long value = strtol(text, &end, 10);
  if (errno || *end || value < 0) refuse(variable, text);
  return value;
}

__attribute__((constructor)) static void configure(void) {
  const char *directory = getenv("FAULT_PREFIX");
  if (!directory || !*directory) return;
  if (!realpath(directory, prefix)) refuse("FAULT_PREFIX", directory);
  prefix_length = strlen(prefix);

  const char *log = getenv("FAULT_LOG");
  if (log) {
    if (strlen(log) >= sizeof log_path) refuse("FAULT_LOG", log);
    strcpy(log_path, log);
  }
  fault_after = number_of("FAULT_AFTER", 0);
  fault_count = number_of("FAULT_COUNT", LONG_MAX);
  fault_short = number_of("FAULT_SHORT", 0) != 0;
  fault_kill = number_of("FAULT_KILL", 0) != 0;

  const char *name = getenv("FAULT_ERRNO");
  if (name && *name) {
    for (size_t i = 0; i < sizeof errnos / sizeof *errnos; i++)
      if (!strcmp(errnos[i].name, name)) fault_errno = errnos[i].value;
    if (!fault_errno) refuse("FAULT_ERRNO", name);
  }

  unsigned chosen = 0;
  const char *calls = getenv("FAULT_CALLS");
  for (const char *at = calls ? calls : ""; *at;) {
    size_t length = strcspn(at, ", ");
    int found = length == 0;
    for (int i = 0; i < CALLS; i++)
      if (strlen(call_names[i]) == length && !strncmp(call_names[i], at, length)) {
        chosen |= 1u << i;
        found = 1;
      }
    if (!found) refuse("FAULT_CALLS", at);
    at += length;
    if (*at) at++;
  }
  selected = chosen ? chosen : (1u << CALLS) - 1;
}

// ---- which file

static int is_below(const char *path) {
  return !strncmp(path, prefix, prefix_length) && (path[prefix_length] == '/' || path[prefix_length] == 0);
}

/** The name that the kernel has for an open file; it follows a rename. */
static int fd_path(int fd, char *out) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, out, PATH_MAX - 1);
  if (length < 0) return 0;
  out[length] = 0;
  return is_below(out);
}

/** The real path of the directory, with the last name as it is: that need not exist. */
static int named_path(int dirfd, const char *path, char *out) {
  char joined[PATH_MAX];
  if (!path || !*path) return 0;
  int length = dirfd == AT_FDCWD || *path == '/' ? snprintf(joined, sizeof joined, "%s", path)
                                                 : snprintf(joined, sizeof joined, "/proc/self/fd/%d/%s", dirfd, path);
  if (length >= (int)sizeof joined) return 0;
  while (length > 1 && joined[length - 1] == '/') joined[--length] = 0;
  char *slash = strrchr(joined, '/');
  const char *last = slash ? slash + 1 : joined;
  if (!*last || !strcmp(last, ".") || !strcmp(last, "..")) return realpath(joined, out) && is_below(out);
  char name[NAME_MAX + 1];
  if (snprintf(name, sizeof name, "%s", last) >= (int)sizeof name) return 0;
  if (slash) slash[slash == joined ? 1 : 0] = 0;
  if (!realpath(slash ? joined : ".", out)) return 0;
  size_t used = strlen(out);
  if (snprintf(out + used, PATH_MAX - used, "%s%s", used == 1 ? "" : "/", name) >= (int)(PATH_MAX - used)) return 0;
  return is_below(out);
}

// ---- what happens to a call

static void note(long index, enum call call, const char *path, const char *to) {
  if (!*log_path) return;
  char line[2 * PATH_MAX + 64];
  int length = snprintf(line, sizeof line, "%ld %s %s%s%s\n", index, call_names[call], path, to ? "\t" : "", to ? to : "");
  int fd = REAL(open)(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0 || REAL(write)(fd, line, length) != length) {
    dprintf(STDERR_FILENO, "failing-disk: the log cannot be written: %s\n", strerror(errno));
    _exit(97);
  }
  close(fd);
}

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

enum verdict { PASS, FAIL, HALF };

/** One matching call. `bytes` says that it moves bytes, so that it can stop half-way. */
static enum verdict judge(enum call call, const char *path, const char *to, int bytes) {
  long index = atomic_fetch_add(&matches, 1);
  note(index, call, path, to);
  if (index < fault_after || index - fault_after >= fault_count) return PASS;
  // With an error too: a disk that fills up in the middle of the first call.
  if (fault_short && bytes && (!fault_errno || index == fault_after)) return HALF;
  if (fault_kill) die();
  if (!fault_errno) return PASS;
  errno = fault_errno;
  return FAIL;
}

static int is_selected(enum call call) { return (selected >> call) & 1; }

static enum verdict judge_fd(enum call call, int fd, int bytes) {
  char path[PATH_MAX];
  int saved = errno;
  if (!is_selected(call) || !fd_path(fd, path)) return errno = saved, PASS;
  errno = saved;
  return judge(call, path, NULL, bytes);
}

static int refused(enum call call, int dirfd, const char *path) {
  char resolved[PATH_MAX];
  int saved = errno;
  if (!is_selected(call) || !named_path(dirfd, path, resolved)) return errno = saved, 0;
  errno = saved;
  return judge(call, resolved, NULL, 0) == FAIL;
}

static int refused_two(enum call call, int from_fd, const char *from, int to_fd, const char *to) {
  char source[PATH_MAX] = "", target[PATH_MAX] = "";
  int saved = errno;
  if (!is_selected(call)) return 0;
  int below = named_path(from_fd, from, source) | named_path(to_fd, to, target);
  errno = saved;
  return below && judge(call, source, target, 0) == FAIL;
}

static int refused_open(int dirfd, const char *path, int flags) {
  enum call call = (flags & O_CREAT) && is_selected(CREATE) ? CREATE : OPEN;
  return refused(call, dirfd, path);
}

/** Half of what was asked, and the end of the process when that was asked too. */
static ssize_t halved(ssize_t result) {
  if (fault_kill) die();
  return result;
}

#define HALF_OF(n) ((n) > 1 ? (n) / 2 : (n))

// ---- open

#define MODE(flags) \
  mode_t mode = 0; \
  if ((flags) & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) { \
    va_list rest; \
    va_start(rest, flags); \
    mode = va_arg(rest, mode_t); \
    va_end(rest); \
  }

#define WRAP_OPEN(name) \
  int name(const char *path, int flags, ...) { \
    MODE(flags) \
    return refused_open(AT_FDCWD, path, flags) ? -1 : REAL(name)(path, flags, mode); \
  }
#define WRAP_OPENAT(name) \
  int name(int dirfd, const char *path, int flags, ...) { \
    MODE(flags) \
    return refused_open(dirfd, path, flags) ? -1 : REAL(name)(dirfd, path, flags, mode); \
  }
WRAP_OPEN(open)
WRAP_OPEN(open64)
WRAP_OPENAT(openat)
WRAP_OPENAT(openat64)

// ---- read and write

#define WRAP_BYTES(name, call, buffer) \
  ssize_t name(int fd, buffer data, size_t length) { \
    enum verdict verdict = judge_fd(call, fd, 1); \
    if (verdict == FAIL) return -1; \
    return verdict == HALF ? halved(REAL(name)(fd, data, HALF_OF(length))) : REAL(name)(fd, data, length); \
  }
#define WRAP_BYTES_AT(name, call, buffer, offset_type) \
  ssize_t name(int fd, buffer data, size_t length, offset_type at) { \
    enum verdict verdict = judge_fd(call, fd, 1); \
    if (verdict == FAIL) return -1; \
    return verdict == HALF ? halved(REAL(name)(fd, data, HALF_OF(length), at)) : REAL(name)(fd, data, length, at); \
  }
WRAP_BYTES(read, READ, void *)
WRAP_BYTES(write, WRITE, const void *)
WRAP_BYTES_AT(pread, PREAD, void *, off_t)
WRAP_BYTES_AT(pread64, PREAD, void *, off64_t)
WRAP_BYTES_AT(pwrite, PWRITE, const void *, off_t)
WRAP_BYTES_AT(pwrite64, PWRITE, const void *, off64_t)

/** The first half of the bytes of a list of buffers; how many buffers that takes. */
static int half_list(const struct iovec *list, int count, struct iovec *out) {
  size_t total = 0;
  for (int i = 0; i < count; i++) total += list[i].iov_len;
  size_t left = HALF_OF(total);
  int used = 0;
  for (int i = 0; i < count && left > 0; i++) {
    out[used] = list[i];
    if (out[used].iov_len > left) out[used].iov_len = left;
    left -= out[used++].iov_len;
  }
  return used;
}

#define WRAP_LIST(name, call, parameters, ...) \
  ssize_t name(int fd, const struct iovec *list, int count parameters) { \
    enum verdict verdict = judge_fd(call, fd, 1); \
    if (verdict == FAIL) return -1; \
    if (verdict == PASS || count > IOV_MAX) return REAL(name)(fd, list, count __VA_ARGS__); \
    struct iovec half[IOV_MAX]; \
    int used = half_list(list, count, half); \
    return halved(REAL(name)(fd, half, used __VA_ARGS__)); \
  }
#define COMMA ,
WRAP_LIST(readv, READ, )
WRAP_LIST(writev, WRITE, )
WRAP_LIST(preadv, PREAD, COMMA off_t at, , at)
WRAP_LIST(preadv64, PREAD, COMMA off64_t at, , at)
WRAP_LIST(pwritev, PWRITE, COMMA off_t at, , at)
WRAP_LIST(pwritev64, PWRITE, COMMA off64_t at, , at)
WRAP_LIST(preadv2, PREAD, COMMA off_t at COMMA int flags, , at, flags)
WRAP_LIST(preadv64v2, PREAD, COMMA off64_t at COMMA int flags, , at, flags)
WRAP_LIST(pwritev2, PWRITE, COMMA off_t at COMMA int flags, , at, flags)
WRAP_LIST(pwritev64v2, PWRITE, COMMA off64_t at COMMA int flags, , at, flags)

// ---- copies: matched by the file that is written

static ssize_t copy_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t length, unsigned flags) {
  enum verdict verdict = judge_fd(COPY_FILE_RANGE, to, 1);
  if (verdict == FAIL) return -1;
  size_t wanted = verdict == HALF ? HALF_OF(length) : length;
  ssize_t copied = REAL(copy_file_range)(from, from_at, to, to_at, wanted, flags);
  return verdict == HALF ? halved(copied) : copied;
}

ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t length, unsigned flags) {
  return copy_range(from, from_at, to, to_at, length, flags);
}

#define WRAP_SENDFILE(name, offset_type) \
  ssize_t name(int to, int from, offset_type *at, size_t length) { \
    enum verdict verdict = judge_fd(SENDFILE, to, 1); \
    if (verdict == FAIL) return -1; \
    return verdict == HALF ? halved(REAL(name)(to, from, at, HALF_OF(length))) : REAL(name)(to, from, at, length); \
  }
WRAP_SENDFILE(sendfile, off_t)
WRAP_SENDFILE(sendfile64, off64_t)

int ioctl(int fd, unsigned long request, ...) {
  va_list rest;
  va_start(rest, request);
  void *argument = va_arg(rest, void *);
  va_end(rest);
  int is_clone = request == FICLONE || request == FICLONERANGE;
  return is_clone && judge_fd(FICLONE_IOCTL, fd, 0) == FAIL ? -1 : REAL(ioctl)(fd, request, argument);
}

/** libuv reaches copy_file_range this way. */
long syscall(long number, ...) {
  va_list rest;
  va_start(rest, number);
  long a = va_arg(rest, long), b = va_arg(rest, long), c = va_arg(rest, long);
  long d = va_arg(rest, long), e = va_arg(rest, long), f = va_arg(rest, long);
  va_end(rest);
  if (number == SYS_copy_file_range) return copy_range((int)a, (off64_t *)b, (int)c, (off64_t *)d, (size_t)e, (unsigned)f);
  return REAL(syscall)(number, a, b, c, d, e, f);
}

// ---- everything else

#define WRAP_FD(name, call, parameters, ...) \
  int name(int fd parameters) { return judge_fd(call, fd, 0) == FAIL ? -1 : REAL(name)(fd __VA_ARGS__); }
WRAP_FD(fsync, FSYNC, )
WRAP_FD(fdatasync, FDATASYNC, )
WRAP_FD(ftruncate, FTRUNCATE, COMMA off_t length, , length)
WRAP_FD(ftruncate64, FTRUNCATE, COMMA off64_t length, , length)
WRAP_FD(fchmod, CHMOD, COMMA mode_t mode, , mode)

#define WRAP_NAME(name, call, parameters, ...) \
  int name(const char *path parameters) { \
    return refused(call, AT_FDCWD, path) ? -1 : REAL(name)(path __VA_ARGS__); \
  }
WRAP_NAME(truncate, FTRUNCATE, COMMA off_t length, , length)
WRAP_NAME(truncate64, FTRUNCATE, COMMA off64_t length, , length)
WRAP_NAME(chmod, CHMOD, COMMA mode_t mode, , mode)
WRAP_NAME(mkdir, MKDIR, COMMA mode_t mode, , mode)
WRAP_NAME(rmdir, RMDIR, )
WRAP_NAME(unlink, UNLINK, )
WRAP_NAME(remove, UNLINK, )

int mkdirat(int dirfd, const char *path, mode_t mode) {
  return refused(MKDIR, dirfd, path) ? -1 : REAL(mkdirat)(dirfd, path, mode);
}

int unlinkat(int dirfd, const char *path, int flags) {
  return refused(flags & AT_REMOVEDIR ? RMDIR : UNLINK, dirfd, path) ? -1 : REAL(unlinkat)(dirfd, path, flags);
}

int fchmodat(int dirfd, const char *path, mode_t mode, int flags) {
  return refused(CHMOD, dirfd, path) ? -1 : REAL(fchmodat)(dirfd, path, mode, flags);
}

int rename(const char *from, const char *to) {
  return refused_two(RENAME, AT_FDCWD, from, AT_FDCWD, to) ? -1 : REAL(rename)(from, to);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to) {
  return refused_two(RENAME, from_fd, from, to_fd, to) ? -1 : REAL(renameat)(from_fd, from, to_fd, to);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags) {
  return refused_two(RENAME, from_fd, from, to_fd, to) ? -1 : REAL(renameat2)(from_fd, from, to_fd, to, flags);
}

int link(const char *from, const char *to) {
  return refused_two(LINK, AT_FDCWD, from, AT_FDCWD, to) ? -1 : REAL(link)(from, to);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags) {
  return refused_two(LINK, from_fd, from, to_fd, to) ? -1 : REAL(linkat)(from_fd, from, to_fd, to, flags);
}

int symlink(const char *target, const char *path) {
  return refused(SYMLINK, AT_FDCWD, path) ? -1 : REAL(symlink)(target, path);
}
