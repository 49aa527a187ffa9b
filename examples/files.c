/* Writes a file, reads it back and lists its folder: files [FOLDER]. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : ".";
    char path[512], line[64] = "";
    snprintf(path, sizeof(path), "%s/note.txt", folder);
    FILE *file = fopen(path, "w");
    if (!file) {
        perror(path);
        if (errno == ENOTCAPABLE)
            fprintf(stderr, "files: no folder that this program was given: tessera run --dir HOST::%s\n", folder);
        return 1;
    }
    fprintf(file, "written by a program in ring 0\n");
    fclose(file);

    file = fopen(path, "r");
    if (!file || !fgets(line, sizeof(line), file)) {
        perror(path);
        return 1;
    }
    fclose(file);
    printf("%s: %s", path, line);

    DIR *directory = opendir(folder);
    if (!directory) {
        perror(folder);
        return 1;
    }
    for (struct dirent *entry; (entry = readdir(directory));) {
        struct stat status;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (stat(path, &status) == 0)
            printf("%10lld  %s\n", (long long)status.st_size, entry->d_name);
    }
    closedir(directory);
    return 0;
}
