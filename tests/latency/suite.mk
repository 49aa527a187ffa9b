$(BUILD)/latency-kernel.elf: $(call objects,pc,tests/latency/boot.c $(PC)) $(PC_LIBRARY) platform/pc/kernel.ld
	$(call SAY,LINK)
	$(Q)$(LINK_IMAGE)
$(BUILD)/latency/guest.wasm: tests/latency/guest.c sdk/tessera.h | setup-build
	$(call SAY,WASM)
	$(Q)$(CC) -std=gnu17 $(filter-out -MMD -MP,$(GUEST_FLAGS)) -mbulk-memory $< -o $@
TEST_FILES += $(BUILD)/latency-kernel.elf $(BUILD)/latency/guest.wasm
