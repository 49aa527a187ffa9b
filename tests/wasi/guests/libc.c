/* The same ground as files.c through the C library: what programs do. */
#include "tests/wasi/guests/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_stdio(void)
{
    char line[64];
    FILE *file = fopen("/work/stdio", "w+");
    CHECK(file != NULL);
    if (!file)
        return;
    for (int i = 0; i < 1000; i++)
        fprintf(file, "line %d\n", i);
    CHECK(ftell(file) == 8890);
    CHECK(fseek(file, 0, SEEK_SET) == 0);
    CHECK(fgets(line, sizeof line, file) && strcmp(line, "line 0\n") == 0);
    CHECK(fseek(file, -9, SEEK_END) == 0);
    CHECK(fgets(line, sizeof line, file) && strcmp(line, "line 999\n") == 0);
    CHECK(fgets(line, sizeof line, file) == NULL && feof(file));
    CHECK(fclose(file) == 0);
    file = fopen("/work/stdio", "a");
    CHECK(file && fputs("end", file) >= 0 && fclose(file) == 0);
    struct stat status;
    CHECK(stat("/work/stdio", &status) == 0 && status.st_size == 8893 && S_ISREG(status.st_mode));
    CHECK(truncate("/work/stdio", 6) == 0 && stat("/work/stdio", &status) == 0 && status.st_size == 6);
    CHECK(rename("/work/stdio", "/work/renamed") == 0);
    CHECK(access("/work/renamed", R_OK | W_OK) == 0 && access("/work/stdio", F_OK) == -1 && errno == ENOENT);
    CHECK(remove("/work/renamed") == 0);
}

static void test_open_modes(void)
{
    char c;
    int fd = open("/work/modes", O_CREAT | O_WRONLY | O_EXCL, 0644);
    CHECK(fd >= 0 && write(fd, "x", 1) == 1 && read(fd, &c, 1) == -1 && errno == EBADF);
    CHECK((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY && close(fd) == 0);
    CHECK(open("/work/modes", O_CREAT | O_WRONLY | O_EXCL, 0644) == -1 && errno == EEXIST);
    fd = open("/work/modes", O_RDONLY);
    CHECK(fd >= 0 && read(fd, &c, 1) == 1 && c == 'x' && write(fd, "y", 1) == -1 && errno == EBADF);
    CHECK((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY && close(fd) == 0);
    CHECK(open("/work/modes", O_RDONLY | O_DIRECTORY) == -1 && errno == ENOTDIR);
    CHECK(open("/work", O_WRONLY) == -1 && errno == EISDIR);
    fd = open("/work/modes", O_RDWR | O_APPEND | O_TRUNC);
    CHECK(fd >= 0 && write(fd, "ab", 2) == 2 && lseek(fd, 0, SEEK_SET) == 0 && write(fd, "cd", 2) == 2);
    CHECK(lseek(fd, 0, SEEK_END) == 4 && pread(fd, &c, 1, 2) == 1 && c == 'c' && close(fd) == 0);
    CHECK(unlink("/work/modes") == 0);
}

static void test_directories(void)
{
    CHECK(mkdir("/work/d", 0755) == 0 && chdir("/work/d") == 0);
    for (int i = 0; i < 100; i++) {
        char name[32];
        snprintf(name, sizeof name, "a rather long name %d", i);
        int fd = open(name, O_CREAT | O_WRONLY, 0644);
        CHECK(fd >= 0 && close(fd) == 0);
    }
    DIR *directory = opendir(".");
    CHECK(directory != NULL);
    if (!directory)
        return;
    int count = 0;
    long place = 0;
    char name_there[64] = "";
    for (struct dirent *entry; (entry = readdir(directory)); count++) {
        if (count == 50)
            snprintf(name_there, sizeof name_there, "%s", entry->d_name);
        if (count == 49)
            place = telldir(directory);
    }
    CHECK(count == 102);
    seekdir(directory, place);
    struct dirent *entry = readdir(directory);
    CHECK(entry && strcmp(entry->d_name, name_there) == 0);
    rewinddir(directory);
    entry = readdir(directory);
    CHECK(entry && strcmp(entry->d_name, ".") == 0);
    CHECK(closedir(directory) == 0);
    CHECK(rmdir("/work/d") == -1 && errno == ENOTEMPTY);
    for (int i = 0; i < 100; i++) {
        char name[32];
        snprintf(name, sizeof name, "a rather long name %d", i);
        CHECK(unlink(name) == 0);
    }
    CHECK(rmdir("/work/d") == 0);
}

static void test_outside(void)
{
    CHECK(open("/etc/passwd", O_RDONLY) == -1);
    CHECK(open("/work/../etc/passwd", O_RDONLY) == -1);
    CHECK(opendir("/") == NULL);
    CHECK(symlink("../../etc/passwd", "/work/link") == 0);
    CHECK(open("/work/link", O_RDONLY) == -1);
    struct stat status;
    CHECK(lstat("/work/link", &status) == 0 && S_ISLNK(status.st_mode));
    CHECK(stat("/work/link", &status) == -1);
    CHECK(unlink("/work/link") == 0);
}

/* The second directory: read-only data from the host, or a copy of it. */
static void test_data(void)
{
    char text[32] = "";
    struct stat status;
    FILE *file = fopen("/data/sub/hello.txt", "r");
    CHECK(file && fgets(text, sizeof text, file) && strcmp(text, "hello from the host\n") == 0);
    if (file)
        fclose(file);
    CHECK(stat("/data/big", &status) == 0 && status.st_size == 1 << 20);
    file = fopen("/data/big", "r+");
    CHECK(file && fseek(file, 500000, SEEK_SET) == 0 && fputs("changed", file) >= 0 && fflush(file) == 0);
    if (!file)
        return;
    CHECK(fseek(file, 499999, SEEK_SET) == 0 && fgets(text, 10, file) && strcmp(text, "xchangedx") == 0);
    CHECK(fseek(file, -1, SEEK_END) == 0 && fgetc(file) == 'x' && fgetc(file) == EOF);
    CHECK(fclose(file) == 0);
    CHECK(rename("/data/sub/hello.txt", "/data/hello.txt") == 0 && rmdir("/data/sub") == 0);
    CHECK(stat("/data/hello.txt", &status) == 0 && status.st_size == 20);
}

int main(void)
{
    test_stdio();
    test_open_modes();
    test_directories();
    test_outside();
    test_data();
    return summary();
}
