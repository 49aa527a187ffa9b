# Guests with threads: the suite's own, with the runtime of sdk/threads.
$(BUILD)/threads/%.wasm: tests/threads/guests/%.c sdk/threads/threads.c sdk/threads/start.s sdk/threads/pthread.h \
                         sdk/threads/flags tests/support/guest.h | setup-build
	$(call SAY,WASM)
	$(Q)$(CC) -std=gnu17 $(filter-out -MMD -MP,$(GUEST_FLAGS)) $$(cat sdk/threads/flags) $(filter %.c %.s,$^) -o $@
TEST_FILES += $(patsubst tests/threads/guests/%.c,$(BUILD)/threads/%.wasm,$(wildcard tests/threads/guests/*.c)) \
              $(BUILD)/boot-linux $(BUILD)/sanitize/tessera
