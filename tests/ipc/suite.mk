# Guests with threads: they talk to themselves.
$(BUILD)/ipc/%.wasm: tests/ipc/guests/%.c sdk/tessera.h sdk/threads/threads.c sdk/threads/start.s sdk/threads/pthread.h \
                     sdk/threads/flags | setup-build
	$(call SAY,WASM)
	$(Q)$(CC) -std=gnu17 $(filter-out -MMD -MP,$(GUEST_FLAGS)) $$(cat sdk/threads/flags) $(filter %.c %.s,$^) -o $@
TEST_FILES += $(patsubst tests/ipc/guests/%.c,$(BUILD)/ipc/%.wasm,$(wildcard tests/ipc/guests/*.c)) $(BUILD)/boot-linux
