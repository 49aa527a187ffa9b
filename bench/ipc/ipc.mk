# make bench-ipc: what processes pay to talk to each other, beside Linux.
BENCH_IPC_LINUX := $(addprefix bench/ipc/,main.c linux.c measure.c)
BENCH_IPC_BOOT := $(addprefix bench/ipc/,boot.c measure.c)

$(BUILD)/bench-ipc: $(call objects,linux,$(BENCH_IPC_LINUX)) $(LINUX_LIBRARY)
	$(call SAY,LINK)
	$(Q)$(LINK_LINUX)
$(BUILD)/bench-ipc.elf: $(call objects,pc,$(BENCH_IPC_BOOT) $(PC)) $(PC_LIBRARY) platform/pc/kernel.ld
	$(call SAY,LINK)
	$(Q)$(LINK_IMAGE)
$(BUILD)/bench-ipc.wasm: bench/ipc/guest.c bench/ipc/generated/probe_both.c sdk/tessera.h | setup-build
	$(call SAY,WASM)
	$(Q)$(CC) -std=gnu17 $(filter-out -MMD -MP,$(GUEST_FLAGS)) -nostdlib -Wl,--no-entry $(filter %.c,$^) -o $@

.PHONY: bench-ipc
bench-ipc: $(BUILD)/bench-ipc $(BUILD)/bench-ipc.elf $(BUILD)/bench-ipc.wasm | setup-run
	$(Q)bench/ipc/run $(BUILD)
