/* The guest of tests/cli: does what its first argument says. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int show_words(int count, char **words)
{
    for (int i = 0; i < count; i++)
        printf("[%s]\n", words[i]);
    return 0;
}

static int show_environment(void)
{
    for (char **variable = environ; *variable; variable++)
        puts(*variable);
    return 0;
}

/* stdin to stdout in portions that fit no buffer size. */
static int copy(void)
{
    char buffer[7777];
    ssize_t got;
    while ((got = read(0, buffer, sizeof buffer)) > 0)
        for (ssize_t at = 0; at < got;) {
            ssize_t written = write(1, buffer + at, (size_t)(got - at));
            if (written < 0)
                return 2;
            at += written;
        }
    return got < 0 ? 1 : 0;
}

static int read_line(void)
{
    char line[100];
    printf("%s", fgets(line, sizeof line, stdin) ? line : "nothing\n");
    return 0;
}

static int spin(void)
{
    for (volatile unsigned i = 0;; i++)
        continue;
}

static int allocate_megabytes(size_t count)
{
    void *volatile memory = malloc(count << 20); /* volatile, or the compiler takes it as granted */
    puts(memory ? "granted" : "refused");
    return 0;
}

static int open_file(const char *path, const char *mode)
{
    FILE *file = fopen(path, mode);
    if (!file) {
        printf("%s: %s\n", path, strerror(errno));
        return 1;
    }
    if (mode[0] == 'w') {
        fputs("written by the guest\n", file);
        return fclose(file) == 0 ? 0 : 1;
    }
    char buffer[200];
    size_t count = fread(buffer, 1, sizeof buffer, file);
    fwrite(buffer, 1, count, stdout);
    fclose(file);
    return 0;
}

static int list(const char *path)
{
    DIR *directory = opendir(path);
    if (!directory) {
        printf("%s: %s\n", path, strerror(errno));
        return 1;
    }
    for (struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] != '.')
            puts(entry->d_name);
    return closedir(directory);
}

/* Everything that could reach outside of a mapped folder; prints what succeeded. */
static int escape(const char *base)
{
    static const char *const targets[] = {"../secret", "sub/../../secret", "absolute",       "relative",
                                          "up/secret", "sub/up2/secret",   "sub/../relative"};
    char path[300], to[300];
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", base, targets[i]);
        if (open(path, O_RDONLY) >= 0)
            printf("read %s\n", path);
        if (open(path, O_WRONLY | O_CREAT, 0666) >= 0)
            printf("wrote %s\n", path);
        snprintf(to, sizeof to, "%s/link%zu", base, i);
        if (link(path, to) == 0 && open(to, O_RDONLY) >= 0)
            printf("linked %s\n", path);
        bool is_outside = !strstr(path, "absolute") && !strstr(path, "relative");
        if (is_outside && unlink(path) == 0)
            printf("removed %s\n", path);
    }
    snprintf(path, sizeof path, "%s/f", base);
    snprintf(to, sizeof to, "%s/../moved", base);
    if (rename(path, to) == 0)
        puts("moved out");
    snprintf(to, sizeof to, "%s/up/made", base);
    if (mkdir(to, 0777) == 0)
        puts("made outside");
    puts("done");
    return 0;
}

int main(int count, char **words)
{
    const char *what = count > 1 ? words[1] : "";
    if (strcmp(what, "words") == 0)
        return show_words(count, words);
    if (strcmp(what, "environment") == 0)
        return show_environment();
    if (strcmp(what, "exit") == 0)
        return atoi(words[2]);
    if (strcmp(what, "streams") == 0)
        return fputs("to stdout\n", stdout) < 0 || fputs("to stderr\n", stderr) < 0;
    if (strcmp(what, "copy") == 0)
        return copy();
    if (strcmp(what, "line") == 0)
        return read_line();
    if (strcmp(what, "quiet") == 0)
        return 0;
    if (strcmp(what, "spin") == 0)
        return puts("ready"), fflush(stdout), spin();
    if (strcmp(what, "sleep") == 0)
        return puts("ready"), fflush(stdout), (int)sleep(100);
    if (strcmp(what, "wait") == 0)
        return puts("ready"), fflush(stdout), read_line();
    if (strcmp(what, "flood") == 0)
        for (;;)
            puts("flood flood flood flood flood flood");
    if (strcmp(what, "trap") == 0)
        __builtin_trap();
    if (strcmp(what, "memory") == 0)
        return allocate_megabytes((size_t)atoi(words[2]));
    if (strcmp(what, "read") == 0)
        return open_file(words[2], "r");
    if (strcmp(what, "write") == 0)
        return open_file(words[2], "w");
    if (strcmp(what, "list") == 0)
        return list(words[2]);
    if (strcmp(what, "escape") == 0)
        return escape(words[2]);
    if (strcmp(what, "terminal") == 0)
        return printf("%d %d\n", isatty(0), isatty(1)), 0;
    return 99;
}
