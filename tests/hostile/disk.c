/*
 * A disk that is slow or fails, put under a program by LD_PRELOAD.
 *
 * Writes and syncs of files below $DISK_FOLDER meet what stands in the file $DISK_FAULT at that moment:
 *
 *   slow MILLISECONDS   they take so long, and succeed
 *   fail                they fail with EIO, and do nothing
 *
 * Without that file, or with anything else in it, they are as they should be. Only `bartizan run` meets this disk:
 * what it starts passes.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static char folder[PATH_MAX], fault_file[PATH_MAX];
static int active;

__attribute__((constructor)) static void begin(int argc, char **argv, char **environment)
{
    (void)environment;
    const char *below = getenv("DISK_FOLDER"), *file = getenv("DISK_FAULT");
    if (argc < 2 || strcmp(argv[1], "run") != 0 || below == NULL || file == NULL)
        return;
    snprintf(folder, sizeof folder, "%s/", below);
    snprintf(fault_file, sizeof fault_file, "%s", file);
    active = 1;
}

static int is_below(int fd)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    return strncmp(path, folder, strlen(folder)) == 0;
}

/* Lets a call meet its fault; whether it fails. */
static int fails(int fd)
{
    if (!active || !is_below(fd))
        return 0;
    char fault[64] = "";
    FILE *file = fopen(fault_file, "re");
    if (file == NULL)
        return 0;
    if (fgets(fault, sizeof fault, file) == NULL)
        fault[0] = 0;
    fclose(file);
    long milliseconds = 0;
    if (sscanf(fault, "slow %ld", &milliseconds) == 1) {
        struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
        nanosleep(&time, NULL);
        return 0;
    }
    if (strncmp(fault, "fail", 4) != 0)
        return 0;
    errno = EIO;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *bytes, size_t count)
{
    return fails(fd) ? -1 : REAL(write)(fd, bytes, count);
}

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    return fails(fd) ? -1 : REAL(writev)(fd, pieces, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
    return fails(fd) ? -1 : REAL(pwrite)(fd, bytes, count, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset)
{
    return fails(fd) ? -1 : REAL(pwrite64)(fd, bytes, count, offset);
}

int fsync(int fd)
{
    return fails(fd) ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    return fails(fd) ? -1 : REAL(fdatasync)(fd);
}
