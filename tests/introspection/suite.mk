# With the names of its functions, and without LTO, so that they stay what they are.
TEST_FILES += $(BUILD)/introspection/guest.wasm $(BUILD)/sanitize/tessera
$(BUILD)/introspection/guest.wasm: tests/introspection/guest.c | setup-build
	$(call SAY,WASM)
	$(Q)$(CC) -std=gnu17 $(filter-out -MMD -MP,$(GUEST_FLAGS)) -mbulk-memory $< -o $@

TEST_FILES += $(BUILD)/introspection/processes.wasm
$(BUILD)/introspection/processes.wasm: tests/introspection/processes.c sdk/tessera.h tests/support/guest.h | setup-build
	$(call SAY,WASM)
	$(Q)$(CC) -std=gnu17 $(filter-out -MMD -MP,$(GUEST_FLAGS)) $< -o $@
