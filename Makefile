# Tessera: see README.md. Fixed targets: all (default), run, test, spec, bench, fuzz, clean.
#
# Three builds of the same sources, each in its own folder:
#   build/linux     engine, kernel, platform/linux and the `tessera` command, as a Linux program
#   build/pc        engine, kernel and platform/pc, freestanding: build/kernel.elf
#   build/sanitize  as build/linux with ASan and UBSan
# There is no list of files: a .c file in a room belongs to that room.

BUILD ?= build
CC := clang-22
LD := ld.lld-22
AR := llvm-ar-22

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla -Wthread-safety -Werror
COMMON := -std=c17 -I. -MMD -MP -g $(WARNINGS)
LINUX_CFLAGS := $(COMMON) -O2 -D_GNU_SOURCE -march=x86-64-v2 -fno-plt
PC_CFLAGS := $(COMMON) -O2 --target=x86_64-unknown-none-elf -ffreestanding -fno-pic -mcmodel=kernel -mno-red-zone \
             -mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections
SANITIZE_CFLAGS := $(COMMON) -O1 -D_GNU_SOURCE -march=x86-64-v2 -fsanitize=address,undefined \
                   -fno-sanitize-recover=undefined -fno-omit-frame-pointer

ENGINE := $(wildcard engine/*.c engine/*/*.c)
KERNEL := $(wildcard kernel/*.c kernel/*/*.c) $(wildcard abi/*.c abi/*/*.c)
LINUX := $(wildcard platform/linux/*.c)
PC := $(wildcard platform/pc/*.c platform/pc/*.S platform/pc/*/*.c)
TOOLS := $(wildcard tools/*.c)

objects = $(patsubst %,$(BUILD)/$(1)/%.o,$(2))

LINUX_LIBRARY := $(BUILD)/linux/libtessera.a
SANITIZE_LIBRARY := $(BUILD)/sanitize/libtessera.a

.PHONY: all
all: $(BUILD)/tessera $(BUILD)/kernel.elf

$(BUILD)/linux/%.c.o: %.c
	@mkdir -p $(@D)
	$(CC) $(LINUX_CFLAGS) $(CFLAGS_$(subst /,_,$<)) -c $< -o $@
$(BUILD)/sanitize/%.c.o: %.c
	@mkdir -p $(@D)
	$(CC) $(SANITIZE_CFLAGS) -c $< -o $@
$(BUILD)/pc/%.c.o: %.c
	@mkdir -p $(@D)
	$(CC) $(PC_CFLAGS) -c $< -o $@
$(BUILD)/pc/%.S.o: %.S
	@mkdir -p $(@D)
	$(CC) $(PC_CFLAGS) -c $< -o $@

$(LINUX_LIBRARY): $(call objects,linux,$(ENGINE) $(KERNEL) $(LINUX))
	rm -f $@ && $(AR) rcs $@ $^
$(SANITIZE_LIBRARY): $(call objects,sanitize,$(ENGINE) $(KERNEL) $(LINUX))
	rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/tessera: $(call objects,linux,$(TOOLS)) $(LINUX_LIBRARY)
	$(CC) -fuse-ld=lld-22 -static -o $@ $^ $(TOOLS_LIBRARIES)

PC_LIBRARY := $(BUILD)/pc/libtessera.a
$(PC_LIBRARY): $(call objects,pc,$(ENGINE) $(KERNEL))
	rm -f $@ && $(AR) rcs $@ $^
$(BUILD)/kernel.elf: $(call objects,pc,$(PC)) $(PC_LIBRARY) platform/pc/kernel.ld
	$(LD) -nostdlib -static --gc-sections -z max-page-size=4096 -T platform/pc/kernel.ld -o $@ \
	    $(call objects,pc,$(PC)) --whole-archive $(PC_LIBRARY)

.PHONY: clean
clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
