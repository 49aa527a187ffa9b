# Guests of this suite alone.
$(eval $(call GUEST_RULES,wasi,tests/wasi/guests))
TEST_FILES += $(patsubst tests/wasi/guests/%.c,$(BUILD)/wasi/%.wasm,$(wildcard tests/wasi/guests/*.c)) \
              $(BUILD)/wasi/functions $(BUILD)/boot-linux
# What docs/wasi.md must say.
$(BUILD)/wasi/functions: tests/wasi/functions.c abi/wasi/functions.def | setup-build
	$(call SAY,CC  )
	$(Q)mkdir -p $(@D) && $(CC) -std=c17 -I. -Wall -Wextra -Werror $< -o $@
