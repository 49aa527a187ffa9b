/* Machine code as text: the text goes into a minimal ELF file in memory, with a symbol for each function, and an
 * objdump reads that.
 *
 * A `ud2` of ours has one byte behind it, the trap kind (engine/trap.h), which would throw a disassembler off. So for
 * every ud2 that is found, the byte is replaced by a nop in the copy, and the disassembler is run again until no more
 * are found; trap sites stand in rows, which are replaced at once, so a few runs do. */
#include "tools/disassemble.h"
#include "tools/message.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/trap.h"

#define NOP             0x90
#define LINE_TEXT_BYTES 512

struct image {
    const struct code *code;
    uint8_t *text;     /* the copy */
    uint32_t from, to; /* the function */
    struct machine_line *lines;
    size_t count;
};

static uint32_t function_end(const struct code *code, uint32_t index)
{
    return index + 1 < code->function_count ? code->functions[index + 1].offset : (uint32_t)code->text_size;
}

/* ---- The ELF file ---- */

enum { SECTION_TEXT = 1, SECTION_SYMBOLS, SECTION_STRINGS, SECTION_COUNT };
static const char section_names[] = "\0.text\0.symtab\0.strtab";
enum { NAME_TEXT = 1, NAME_SYMBOLS = 7, NAME_STRINGS = 15 };

static void put(FILE *stream, const void *bytes, size_t size)
{
    if (size > 0 && fwrite(bytes, 1, size, stream) != size)
        die("cannot write for the disassembler: %s", strerror(errno));
}

/* The symbols, and their names behind the section names; ELF names are offsets in `strings`. */
static void make_symbols(const struct code *code, FILE *symbols, FILE *strings)
{
    const Elf64_Sym null = {0};
    put(symbols, &null, sizeof null);
    put(strings, section_names, sizeof section_names);
    uint32_t imports = code->module->function_import_count;
    for (uint32_t i = 0; i < code->function_count; i++) {
        Elf64_Sym symbol = {
            .st_name = (Elf64_Word)ftell(strings),
            .st_info = ELF64_ST_INFO(STB_LOCAL, STT_FUNC),
            .st_shndx = SECTION_TEXT,
            .st_value = code->functions[i].offset,
            .st_size = function_end(code, i) - code->functions[i].offset,
        };
        fprintf(strings, "func[%u]%c", i + imports, 0);
        put(symbols, &symbol, sizeof symbol);
    }
}

static void write_image(const struct image *image, int file)
{
    char *symbols = NULL, *strings = NULL;
    size_t symbols_bytes, strings_bytes;
    FILE *symbol_stream = open_memstream(&symbols, &symbols_bytes);
    FILE *string_stream = open_memstream(&strings, &strings_bytes);
    FILE *stream = fdopen(dup(file), "w");
    if (!symbol_stream || !string_stream || !stream)
        die("out of memory");
    make_symbols(image->code, symbol_stream, string_stream);
    fclose(symbol_stream);
    fclose(string_stream);
    size_t text_bytes = image->code->text_size;
    uint64_t text_at = sizeof(Elf64_Ehdr), symbols_at = (text_at + text_bytes + 7) & ~UINT64_C(7);
    Elf64_Ehdr header = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_shoff = symbols_at + symbols_bytes + ((strings_bytes + 7) & ~UINT64_C(7)),
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = SECTION_COUNT,
        .e_shstrndx = SECTION_STRINGS,
    };
    Elf64_Shdr sections[SECTION_COUNT] = {
        [SECTION_TEXT] = {.sh_name = NAME_TEXT,
                          .sh_type = SHT_PROGBITS,
                          .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
                          .sh_offset = text_at,
                          .sh_size = text_bytes,
                          .sh_addralign = 1},
        [SECTION_SYMBOLS] = {.sh_name = NAME_SYMBOLS,
                             .sh_type = SHT_SYMTAB,
                             .sh_offset = symbols_at,
                             .sh_size = symbols_bytes,
                             .sh_link = SECTION_STRINGS,
                             .sh_info = image->code->function_count + 1,
                             .sh_addralign = 8,
                             .sh_entsize = sizeof(Elf64_Sym)},
        [SECTION_STRINGS] = {.sh_name = NAME_STRINGS,
                             .sh_type = SHT_STRTAB,
                             .sh_offset = symbols_at + symbols_bytes,
                             .sh_size = strings_bytes,
                             .sh_addralign = 1},
    };
    static const char zeros[8];
    put(stream, &header, sizeof header);
    put(stream, image->text, text_bytes);
    put(stream, zeros, symbols_at - text_at - text_bytes);
    put(stream, symbols, symbols_bytes);
    put(stream, strings, strings_bytes);
    put(stream, zeros, -strings_bytes & 7);
    put(stream, sections, sizeof sections);
    if (fclose(stream) != 0)
        die("cannot write for the disassembler: %s", strerror(errno));
    free(symbols);
    free(strings);
}

/* ---- The disassembler ---- */

static const char *find_objdump(void)
{
    static const char *const names[] = {"objdump", "llvm-objdump", "llvm-objdump-22"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *command = text_of("command -v %s >/dev/null 2>&1", names[i]);
        int status = system(command);
        free(command);
        if (status == 0)
            return names[i];
    }
    die("--code needs objdump; on Debian and Ubuntu: sudo apt install binutils");
}

/* "  1a4:<tab>mov ..."; false for anything else. */
static bool parse_line(char *line, uint32_t *offset, char **text)
{
    char *end;
    unsigned long value = strtoul(line, &end, 16);
    if (end == line || *end != ':')
        return false;
    *offset = (uint32_t)value;
    for (*text = end + 1; **text == ' ' || **text == '\t'; ++*text)
        continue;
    (*text)[strcspn(*text, "\n")] = '\0';
    for (char *c = *text; *c; c++)
        *c = *c == '\t' ? ' ' : *c;
    return true;
}

static void read_lines(struct image *image, const char *objdump, int file)
{
    for (size_t i = 0; i < image->count; i++)
        free(image->lines[i].text);
    image->count = 0;
    char *command =
        text_of("exec %s -d -M intel --no-show-raw-insn --start-address=%u --stop-address=%u /proc/%d/fd/%d", objdump,
                image->from, image->to, (int)getpid(), file);
    FILE *stream = popen(command, "r");
    if (!stream)
        die("cannot run %s: %s", objdump, strerror(errno));
    char line[LINE_TEXT_BYTES], *text;
    uint32_t offset;
    while (fgets(line, sizeof line, stream))
        if (parse_line(line, &offset, &text)) {
            image->lines = reallocate(image->lines, (image->count + 1) * sizeof *image->lines);
            image->lines[image->count++] = (struct machine_line){offset, text_of("%s", text)};
        }
    if (pclose(stream) != 0)
        die("%s failed", objdump);
    free(command);
}

static bool is_trap_site(const struct image *image, uint32_t at)
{
    return at + 2 < image->to && image->text[at] == 0x0f && image->text[at + 1] == 0x0b &&
           image->text[at + 2] > TRAP_NONE && image->text[at + 2] < TRAP_COUNT;
}

/* Replace the trap kinds behind the first ud2 that still has one, and behind those that follow it directly. */
static bool hide_trap_kinds(struct image *image)
{
    for (size_t i = 0; i < image->count; i++) {
        uint32_t at = image->lines[i].offset;
        if (!is_trap_site(image, at))
            continue;
        for (; is_trap_site(image, at); at += TRAP_OPCODE_BYTES + 1)
            image->text[at + TRAP_OPCODE_BYTES] = NOP;
        return true;
    }
    return false;
}

/* Each ud2 gets the name of its trap, and the nop behind it goes. */
static void name_traps(struct image *image)
{
    size_t kept = 0;
    for (size_t i = 0; i < image->count; i++) {
        struct machine_line line = image->lines[i];
        uint8_t kind = image->code->text[line.offset + TRAP_OPCODE_BYTES];
        bool is_trap = strncmp(line.text, "ud2", 3) == 0 && image->text[line.offset + TRAP_OPCODE_BYTES] == NOP;
        if (is_trap) {
            free(line.text);
            line.text = text_of("ud2    ; trap: %s", trap_text(kind));
        }
        image->lines[kept++] = line;
        if (is_trap && i + 1 < image->count)
            free(image->lines[++i].text);
    }
    image->count = kept;
}

struct machine_line *disassemble(const struct code *code, uint32_t index, size_t *count)
{
    struct image image = {.code = code, .from = code->functions[index].offset, .to = function_end(code, index)};
    image.text = allocate(code->text_size);
    memcpy(image.text, code->text, code->text_size);
    const char *objdump = find_objdump();
    int file = memfd_create("text", 0);
    if (file < 0)
        die("cannot write for the disassembler: %s", strerror(errno));
    write_image(&image, file);
    read_lines(&image, objdump, file);
    while (hide_trap_kinds(&image)) {
        if (pwrite(file, image.text, code->text_size, sizeof(Elf64_Ehdr)) != (ssize_t)code->text_size)
            die("cannot write for the disassembler: %s", strerror(errno));
        read_lines(&image, objdump, file);
    }
    name_traps(&image);
    close(file);
    free(image.text);
    *count = image.count;
    return image.lines;
}
