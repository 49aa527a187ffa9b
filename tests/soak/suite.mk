# The soak test's guests, and the long run: make soak SECONDS=180 CPUS=8 SEED=1
SOAK_GUESTS := $(BUILD)/soak/soak.wasm $(BUILD)/soak/threads.wasm
$(BUILD)/soak/soak.wasm: $(addprefix tests/soak/,driver.c common.c roles.c revoke.c) tests/soak/soak.h sdk/tessera.h | setup-build
	$(call SAY,WASM)
	$(Q)$(CC) -std=gnu17 $(filter-out -MMD -MP,$(GUEST_FLAGS)) -matomics -mbulk-memory -Wl,--no-check-features $(filter %.c,$^) -o $@
$(BUILD)/soak/threads.wasm: tests/soak/threads.c sdk/tessera.h sdk/threads/threads.c sdk/threads/start.s \
                            sdk/threads/pthread.h sdk/threads/flags | setup-build
	$(call SAY,WASM)
	$(Q)$(CC) -std=gnu17 $(filter-out -MMD -MP,$(GUEST_FLAGS)) $$(cat sdk/threads/flags) $(filter %.c %.s,$^) -o $@
TEST_FILES += $(SOAK_GUESTS) $(BUILD)/boot-linux $(BUILD)/sanitize/tessera

SECONDS ?= 60
CPUS ?= 8
SEED ?= 1
.PHONY: soak
soak: all $(SOAK_GUESTS) $(BUILD)/boot-linux $(BUILD)/sanitize/tessera | setup-run
	@tests/soak/run $(BUILD) $(SECONDS) $(CPUS) $(SEED)
