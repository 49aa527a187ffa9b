# make bench-ipc: what processes pay to talk to each other, beside Linux.
BENCH_IPC := $(filter-out bench/ipc/guest.c,$(wildcard bench/ipc/*.c))

$(BUILD)/bench-ipc: $(call objects,linux,$(BENCH_IPC)) $(LINUX_LIBRARY)
	$(call SAY,LINK)
	$(Q)$(LINK_LINUX)
$(BUILD)/bench-ipc.wasm: bench/ipc/guest.c sdk/tessera.h | setup-build
	$(call SAY,WASM)
	$(Q)$(CC) -std=gnu17 $(filter-out -MMD -MP,$(GUEST_FLAGS)) -nostdlib -Wl,--no-entry $< -o $@

.PHONY: bench-ipc
bench-ipc: $(BUILD)/bench-ipc $(BUILD)/bench-ipc.wasm
	$^
