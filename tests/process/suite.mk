# What processes cost: tests/process/cost.c, as the command is built.
$(BUILD)/process-cost: $(call objects,linux,tests/process/cost.c) $(LINUX_LIBRARY)
	$(call SAY,LINK)
	$(Q)$(LINK_LINUX)

# How they scale over CPUs: tests/process/scale.c.
$(BUILD)/process-scale: $(call objects,linux,tests/process/scale.c) $(LINUX_LIBRARY)
	$(call SAY,LINK)
	$(Q)$(LINK_LINUX)

TEST_FILES += $(BUILD)/process-scale
TEST_FILES += $(BUILD)/process-cost

# Very many processes: minutes.
.PHONY: scale
scale: $(BUILD)/tessera $(BUILD)/kernel.elf $(BUILD)/process/crowd.wasm $(BUILD)/process/idle.wasm | setup-run
	tests/process/run $(BUILD) long

TEST_FILES += $(BUILD)/process/guest.wasm $(BUILD)/process/crowd.wasm $(BUILD)/process/pipeline.wasm $(BUILD)/process/attack.wasm $(BUILD)/process/idle.wasm \
              $(BUILD)/process/shared.wasm
TEST_FILES += $(BUILD)/process/calls.wasm
$(BUILD)/process/%.wasm: tests/process/%.wat | setup-test
	$(call SAY,WASM)
	$(Q)wat2wasm --enable-threads $< -o $@
$(BUILD)/process/%.wasm: tests/process/%.c sdk/tessera.h tests/support/guest.h | setup-build
	$(call SAY,WASM)
	$(Q)$(CC) -std=gnu17 $(filter-out -MMD -MP,$(GUEST_FLAGS)) -mbulk-memory $< -o $@
