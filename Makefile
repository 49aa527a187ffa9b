# Tessera: see README.md. `make help` lists the targets.
#
# Four builds of the same sources, each in its own folder:
#   build/linux     engine, kernel, platform/linux and the `tessera` command, as a Linux program
#   build/pc        engine, kernel and platform/pc, freestanding: build/kernel.elf
#   build/sanitize  as build/linux with ASan and UBSan
#   build/tsan      as build/linux with TSan
# and build/guests for WebAssembly. There is no list of files: a .c file in a room belongs to that room.

BUILD ?= build
CC := clang-22
LD := ld.lld-22
AR := llvm-ar-22

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla -Wthread-safety -Werror
COMMON := -std=c17 -I. -MMD -MP -g $(WARNINGS)
# The command is linked with musl: glibc's start-up asks CPUID dozens of times, each of which leaves a virtual machine, and
# that takes as long as running a small program. Linux's own headers are those beside glibc's.
MUSL_LIBRARY := /usr/lib/x86_64-linux-musl
MUSL_CFLAGS := -nostdinc -isystem /usr/include/x86_64-linux-musl -isystem /usr/lib/llvm-22/lib/clang/22/include \
               -idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu
LINUX_CFLAGS := $(COMMON) -O2 -D_GNU_SOURCE -march=x86-64-v2 $(MUSL_CFLAGS)
# A static program from all of $^.
LINK_LINUX = $(CC) -fuse-ld=lld-22 -static -nostdlib -o $@ $(MUSL_LIBRARY)/crt1.o $(MUSL_LIBRARY)/crti.o $^ \
             $(MUSL_LIBRARY)/libc.a $(MUSL_LIBRARY)/crtn.o
PC_CFLAGS := $(COMMON) -O2 --target=x86_64-unknown-none-elf -ffreestanding -fno-pic -mcmodel=kernel -mno-red-zone \
             -mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections
# Kernel stacks are small (kernel/stack.h); the engine compiles on large ones.
$(BUILD)/pc/kernel/%.o $(BUILD)/pc/abi/%.o $(BUILD)/pc/platform/%.o: PC_CFLAGS += -Wframe-larger-than=2100
SANITIZE_CFLAGS := $(COMMON) -O1 -D_GNU_SOURCE -DKERNEL_CHECKS=1 -march=x86-64-v2 -fsanitize=address,undefined \
                   -fsanitize-address-use-after-return=never -fno-sanitize-recover=undefined -fno-omit-frame-pointer
# Without entry and exit of functions, of which TSan keeps a stack: the kernel leaves frames that it does not return to.
TSAN_CFLAGS := $(COMMON) -O1 -D_GNU_SOURCE -DKERNEL_CHECKS=1 -march=x86-64-v2 -fsanitize=thread -fno-omit-frame-pointer \
               -mllvm -tsan-instrument-func-entry-exit=0

ENGINE := $(wildcard engine/*.c engine/*/*.c engine/*/*.S)
KERNEL := $(wildcard kernel/*.c kernel/*/*.c kernel/*.S) $(wildcard abi/*.c abi/*/*.c)
LINUX := $(wildcard platform/linux/*.c platform/linux/*.S)
PC := $(wildcard platform/pc/*.c platform/pc/*.S platform/pc/*/*.c)
TOOLS := $(wildcard tools/*.c)

objects = $(patsubst %,$(BUILD)/$(1)/%.o,$(2))

.PHONY: all
all: $(BUILD)/tessera $(BUILD)/kernel.elf examples

# What each target needs of the system; see scripts/packages.
.PHONY: setup-build setup-run setup-test setup-bench setup-fuzz
setup-build:
	@scripts/setup build
setup-run setup-test setup-bench setup-fuzz: setup-%: setup-build
	@scripts/setup $*

# `make V=1` shows the commands.
Q := $(if $(V),,@)
SAY = @mkdir -p $(@D) $(BUILD)/depend$(if $(V),, && echo "  $(1) $@")

# ---- Objects ----
$(BUILD)/linux/%.o: % | setup-build
	$(call SAY,CC  )
	$(Q)$(CC) $(LINUX_CFLAGS) -c $< -o $@
$(BUILD)/sanitize/%.o: % | setup-build
	$(call SAY,CC  )
	$(Q)$(CC) $(SANITIZE_CFLAGS) -c $< -o $@
$(BUILD)/tsan/%.o: % | setup-build
	$(call SAY,CC  )
	$(Q)$(CC) $(TSAN_CFLAGS) -c $< -o $@
$(BUILD)/pc/%.o: % | setup-build
	$(call SAY,CC  )
	$(Q)$(CC) $(PC_CFLAGS) -c $< -o $@

# ---- The kernel as a library, the command, the image ----
LINUX_LIBRARY := $(BUILD)/linux/libtessera.a
SANITIZE_LIBRARY := $(BUILD)/sanitize/libtessera.a
TSAN_LIBRARY := $(BUILD)/tsan/libtessera.a
PC_LIBRARY := $(BUILD)/pc/libtessera.a

$(LINUX_LIBRARY): $(call objects,linux,$(ENGINE) $(KERNEL) $(LINUX))
$(SANITIZE_LIBRARY): $(call objects,sanitize,$(ENGINE) $(KERNEL) $(LINUX))
$(TSAN_LIBRARY): $(call objects,tsan,$(ENGINE) $(KERNEL) $(LINUX))
$(PC_LIBRARY): $(call objects,pc,$(ENGINE) $(KERNEL))
$(LINUX_LIBRARY) $(SANITIZE_LIBRARY) $(TSAN_LIBRARY) $(PC_LIBRARY):
	$(call SAY,AR  )
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/tessera: $(call objects,linux,$(TOOLS)) $(LINUX_LIBRARY)
	$(call SAY,LINK)
	$(Q)$(LINK_LINUX)
$(BUILD)/sanitize/tessera: $(call objects,sanitize,$(TOOLS)) $(SANITIZE_LIBRARY)
	$(call SAY,LINK)
	$(Q)$(CC) -fuse-ld=lld-22 -fsanitize=address,undefined -o $@ $^

$(BUILD)/tsan/tessera: $(call objects,tsan,$(TOOLS)) $(TSAN_LIBRARY)
	$(call SAY,LINK)
	$(Q)$(CC) -fuse-ld=lld-22 -fsanitize=thread -o $@ $^

# An image from all of $^; NAME.debug beside it is the same with what gdb wants. An object before the kernel's library
# replaces what the library has of the same names.
LINK_IMAGE = $(LD) -nostdlib -static --gc-sections -z max-page-size=4096 -T platform/pc/kernel.ld \
             -o $(basename $@).debug $(filter-out %.ld,$^) && \
             llvm-objcopy-22 --strip-debug $(basename $@).debug $@
$(BUILD)/kernel.elf: $(call objects,pc,$(PC)) $(PC_LIBRARY) platform/pc/kernel.ld
	$(call SAY,LINK)
	$(Q)$(LINK_IMAGE)

# ---- Guests: examples/NAME.c or .cpp, or examples/NAME/*.c; and those of the tests ----
GUEST_FLAGS := --target=wasm32-wasi -O2 -g0 -I. -MMD -MP -Wall -Wextra -Werror -Wno-deprecated -Wl,--strip-debug
GUEST_CXXFLAGS := -std=c++17 -fno-exceptions

EXAMPLES := $(basename $(notdir $(wildcard examples/*.c examples/*.cpp))) \
            $(sort $(notdir $(patsubst %/,%,$(dir $(wildcard examples/*/*.c)))))
TEST_GUESTS := $(basename $(notdir $(wildcard tests/guests/*.c tests/guests/*.cpp tests/guests/*.wat)))

.PHONY: examples test-guests
examples: $(EXAMPLES:%=$(BUILD)/examples/%.wasm)
test-guests: $(TEST_GUESTS:%=$(BUILD)/guests/%.wasm)

define GUEST_RULES
$(BUILD)/$(1)/%.wasm: $(2)/%.c | setup-build
	$$(call SAY,WASM)
	$(Q)$(CC) -std=gnu17 $(GUEST_FLAGS) $$(OPTIONS) -MF $(BUILD)/depend/$(1)-$$*.d $$< -o $$@
$(BUILD)/$(1)/%.wasm: $(2)/%.cpp | setup-build
	$$(call SAY,WASM)
	$(Q)clang++-22 $(GUEST_CXXFLAGS) $(GUEST_FLAGS) -MF $(BUILD)/depend/$(1)-$$*.d $$< -o $$@
$(BUILD)/$(1)/%.wasm: $(2)/%.wat | setup-test
	$$(call SAY,WASM)
	$(Q)wat2wasm --enable-exceptions --debug-names --enable-tail-call --enable-memory64 --enable-multi-memory $$< -o $$@
endef
$(eval $(call GUEST_RULES,examples,examples))
$(eval $(call GUEST_RULES,guests,tests/guests))
.SECONDEXPANSION:
$(BUILD)/examples/%.wasm: $$(wildcard examples/$$*/*.c examples/$$*/*.h) | setup-build
	$(call SAY,WASM)
	$(Q)$(CC) -std=gnu17 $(filter-out -MMD -MP,$(GUEST_FLAGS)) $(filter %.c,$^) -o $@

# Services and their clients: examples/services/NAME/PART.c with the bindings interfaces/generated/NAME_PART.c.
SERVICE_EXAMPLES := $(foreach part,client service,$(patsubst examples/services/%/$(part).c,%_$(part),\
                    $(wildcard examples/services/*/$(part).c)))
examples: $(SERVICE_EXAMPLES:%=$(BUILD)/examples/%.wasm)

LINK_SERVICE = $(CC) -std=gnu17 $(filter-out -MMD -MP,$(GUEST_FLAGS)) -nostartfiles sdk/service/start.c
define SERVICE_RULES
$(BUILD)/examples/%_$(1).wasm: examples/services/%/$(1).c interfaces/generated/%_$(1).c sdk/service/start.c | setup-build
	$$(call SAY,WASM)
	$(Q)$(LINK_SERVICE) $$(filter-out sdk/%,$$(filter %.c,$$^)) -o $$@
endef
$(eval $(call SERVICE_RULES,client))
$(eval $(call SERVICE_RULES,service))
$(SERVICE_EXAMPLES:%=$(BUILD)/examples/%.wasm): $(wildcard interfaces/generated/*.h) sdk/tessera.h

# The system: services/NAME/*.c with the bindings of its interfaces, and the tools of services/tools. The manifest says what
# of it runs.
SYSTEM := $(patsubst %,$(BUILD)/system/%.wasm,init log svc ps top kill) $(BUILD)/system/manifest
.PHONY: system
system: $(SYSTEM)
all: system

# inih, which reads the manifest. Debian 12's version has no archive on the mirrors any more: the one of the release after it.
INIH := $(BUILD)/sources/libinih/inih-r59
$(INIH)/ini.c: | setup-build
	@echo "  GET  $@"
	$(Q)scripts/debian_source $(BUILD)/sources libinih/trixie libinih_59.orig.tar.gz > /dev/null
MANIFEST_SOURCES := $(addprefix services/init/,inih.c manifest.c unit_file.c)
$(BUILD)/sanitize/services/init/%.o: SANITIZE_CFLAGS += -isystem $(INIH)
$(BUILD)/fuzz/services/init/%.o: FUZZ_CFLAGS += -isystem $(INIH)
$(call objects,sanitize,$(MANIFEST_SOURCES)) $(call objects,fuzz,$(MANIFEST_SOURCES)): | $(INIH)/ini.c

INIT_SOURCES := $(addprefix interfaces/generated/,init_manager.c) $(wildcard services/init/*.c)
LOG_SOURCES := $(addprefix interfaces/generated/,init_names.c log_system.c) $(wildcard services/log/*.c)
SVC_SOURCES := $(addprefix interfaces/generated/,init_client.c log_reader.c) services/tools/svc.c
$(BUILD)/system/init.wasm: OPTIONS := -isystem $(INIH)
$(BUILD)/system/init.wasm: $(INIT_SOURCES) | $(INIH)/ini.c
$(BUILD)/system/log.wasm: $(LOG_SOURCES)
$(BUILD)/system/svc.wasm: $(SVC_SOURCES)
$(foreach tool,ps top kill,$(BUILD)/system/$(tool).wasm): $(BUILD)/system/%.wasm: services/tools/%.c services/tools/processes.c
$(BUILD)/system/%.wasm: sdk/service/start.c sdk/tessera.h $(wildcard services/*/*.h interfaces/generated/*.h) | setup-build
	$(call SAY,WASM)
	$(Q)$(LINK_SERVICE) $(OPTIONS) $(filter-out sdk/%,$(filter %.c,$^)) -o $@
$(BUILD)/system/manifest: services/manifest
	$(call SAY,COPY)
	$(Q)cp $< $@

$(BUILD)/guests/simd.wasm: OPTIONS := -msimd128 -mrelaxed-simd
$(BUILD)/guests/musttail.wasm: OPTIONS := -mtail-call

# ---- Running and testing ----
include tests/spec/spec.mk
-include tests/fuzz/fuzz.mk
include bench/ipc/ipc.mk
include bench/neighbours/neighbours.mk
-include platform/pc/iso.mk
-include $(wildcard tests/*/suite.mk)

.PHONY: run test bench clean help
run: all | setup-run
	@scripts/run $(BUILD)

# Every suite: tests/README.md. TEST_FILES is what suites want built; their suite.mk add to it.
test: all test-guests $(TEST_FILES) | setup-run setup-test
	@tests/run $(BUILD) $(SUITES)

bench: all | setup-run setup-bench
	bench/run

clean:
	rm -rf $(BUILD)

help:
	@echo "make            everything, under $(BUILD)/"
	@echo "make run        boot the system with its tour"
	@echo "make test       all suites; SUITES='cli wasi' only those"
	@echo "make spec       the official WebAssembly suite, on Linux and in the booted kernel"
	@echo "make bench      speed against rivals"
	@echo "make bench-ipc  what processes pay to talk to each other, against Linux"
	@echo "make bench-neighbours  what a program keeps of its share beside others that want more"
	@echo "make tsan       the kernel with several CPUs under the thread sanitizer"
	@echo "make scale      1,000,000 processes one after another"
	@echo "make fuzz       random modules against other engines, libFuzzer, the random driver of the interface tessera"
	@echo "make soak       minutes of everything at once, both platforms: SECONDS=60 CPUS=8 SEED=1"
	@echo "make iso        the system of make run on a CD for BIOS machines"
	@echo "make clean      remove $(BUILD)/"
	@echo "BUILD=FOLDER    builds elsewhere"

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
