# libFuzzer with ASan and UBSan on the engine: `make fuzz-smoke` for a bounded number of inputs (also suite `fuzz` of
# `make test`), `make fuzz` until it is stopped, or for FUZZ_SECONDS.
FUZZ_SECONDS ?= 0
FUZZ_CFLAGS := $(SANITIZE_CFLAGS) -fsanitize=fuzzer-no-link
FUZZ := $(BUILD)/fuzz/fuzz_compile
FUZZ_GUESTS := $(BUILD)/examples/hello.wasm $(TEST_GUESTS:%=$(BUILD)/guests/%.wasm)

$(BUILD)/fuzz/%.o: % | setup-fuzz
	$(call SAY,CC  )
	$(Q)$(CC) $(FUZZ_CFLAGS) -c $< -o $@
$(FUZZ): $(call objects,fuzz,$(ENGINE) $(wildcard tests/fuzz/*.c))
	$(call SAY,LINK)
	$(Q)$(CC) -fuse-ld=lld-22 -fsanitize=fuzzer,address,undefined -o $@ $^

$(BUILD)/fuzz/seeds: tests/fuzz/seeds $(FUZZ_GUESTS) | setup-test
	$(call SAY,SEED)
	$(Q)rm -rf $@ && tests/fuzz/seeds $@ $(SUITE) $(FUZZ_GUESTS)

TEST_FILES += $(FUZZ) $(BUILD)/fuzz/seeds

.PHONY: fuzz fuzz-smoke
fuzz-smoke: $(FUZZ) $(BUILD)/fuzz/seeds
	tests/fuzz/run $(BUILD)
fuzz: $(FUZZ) $(BUILD)/fuzz/seeds
	@mkdir -p $(BUILD)/fuzz/corpus
	$(FUZZ) -max_total_time=$(FUZZ_SECONDS) -max_len=8192 -timeout=20 -rss_limit_mb=4096 \
	    -artifact_prefix=$(BUILD)/fuzz/ $(BUILD)/fuzz/corpus $(BUILD)/fuzz/seeds
