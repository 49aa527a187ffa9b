# tests/ROOM/NAME_test.c -> build/tests/ROOM/NAME_test, with everything sanitized.
UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/*/*_test.c))
TEST_FILES += $(UNIT_TESTS)

$(UNIT_TESTS): $(BUILD)/%: $(BUILD)/sanitize/%.c.o $(SANITIZE_LIBRARY)
	$(call SAY,LINK)
	$(Q)$(CC) -fuse-ld=lld-22 -fsanitize=address,undefined -o $@ $(filter %.o,$^) $(filter %.a,$^)
