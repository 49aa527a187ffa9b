# tests/kernel/NAME_test.c -> build/tsan/kernel/NAME_test. `make tsan` is the suite alone, and longer.
# Without shortage_test: frames that are refused end kernel code in the middle of what the sanitizer keeps books of.
TSAN_TESTS := $(patsubst tests/%.c,$(BUILD)/tsan/%,$(filter-out %/shortage_test.c,$(wildcard tests/kernel/*_test.c)))

$(TSAN_TESTS): $(BUILD)/tsan/%: $(BUILD)/tsan/tests/%.c.o $(TSAN_LIBRARY)
	$(call SAY,LINK)
	$(Q)$(CC) -fuse-ld=lld-22 -fsanitize=thread -o $@ $(filter %.o,$^) $(filter %.a,$^)

TEST_FILES += $(TSAN_TESTS) $(BUILD)/tsan/tessera

.PHONY: tsan
tsan: all test-guests $$(TEST_FILES) | setup-test
	tests/tsan/run $(BUILD) long
