# `make fuzz`: FUZZ_MODULES random modules of wasm-tools smith against each of two other engines (tests/differential/smith),
# then libFuzzer with ASan and UBSan on the engine until it is stopped, or for FUZZ_SECONDS. `make fuzz-smoke`: libFuzzer for
# a bounded number of inputs (also suite `fuzz` of `make test`). `make fuzz-component`: another one, likewise.
FUZZ_SECONDS ?= 0
FUZZ_MODULES ?= 50000
FUZZ_SEED ?= $(shell date +%s)
FUZZ_CFLAGS := $(SANITIZE_CFLAGS) -fsanitize=fuzzer-no-link
FUZZ := $(BUILD)/fuzz/fuzz_compile
FUZZ_COMPONENT := $(BUILD)/fuzz/fuzz_component
FUZZ_GUESTS := $(BUILD)/examples/hello.wasm $(TEST_GUESTS:%=$(BUILD)/guests/%.wasm)

$(BUILD)/fuzz/%.o: % | setup-fuzz
	$(call SAY,CC  )
	$(Q)$(CC) $(FUZZ_CFLAGS) -c $< -o $@
$(FUZZ): $(call objects,fuzz,$(ENGINE) $(filter-out %/fuzz_component.c,$(wildcard tests/fuzz/*.c)))
$(FUZZ_COMPONENT): $(call objects,fuzz,$(ENGINE) tests/fuzz/fuzz_component.c)
$(FUZZ) $(FUZZ_COMPONENT):
	$(call SAY,LINK)
	$(Q)$(CC) -fuse-ld=lld-22 -fsanitize=fuzzer,address,undefined -o $@ $^

$(BUILD)/fuzz/seeds: tests/fuzz/seeds $(FUZZ_GUESTS) | setup-test
	$(call SAY,SEED)
	$(Q)rm -rf $@ && tests/fuzz/seeds $@ $(SUITE) $(FUZZ_GUESTS)

$(BUILD)/fuzz/component-seeds: tests/fuzz/component_seeds tests/component/vectors.txt | setup-test
	$(call SAY,SEED)
	$(Q)rm -rf $@ && tests/fuzz/component_seeds $@ tests/component/vectors.txt

FUZZ_FILES := $(FUZZ) $(FUZZ_COMPONENT) $(BUILD)/fuzz/seeds $(BUILD)/fuzz/component-seeds
TEST_FILES += $(FUZZ_FILES)

.PHONY: fuzz fuzz-component fuzz-smoke
fuzz-smoke: $(FUZZ_FILES)
	tests/fuzz/run $(BUILD)
fuzz: $(FUZZ) $(BUILD)/fuzz/seeds $(BUILD)/spec-linux
	tests/differential/smith $(BUILD) $(FUZZ_MODULES) $(FUZZ_SEED)
	tests/differential/smith $(BUILD) $(FUZZ_MODULES) $(FUZZ_SEED) --oracle wasmtime
	@mkdir -p $(BUILD)/fuzz/corpus
	$(FUZZ) -max_total_time=$(FUZZ_SECONDS) -max_len=8192 -timeout=20 -rss_limit_mb=4096 \
	    -artifact_prefix=$(BUILD)/fuzz/ $(BUILD)/fuzz/corpus $(BUILD)/fuzz/seeds
fuzz-component: $(FUZZ_COMPONENT) $(BUILD)/fuzz/component-seeds
	@mkdir -p $(BUILD)/fuzz/component-corpus
	$(FUZZ_COMPONENT) -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=20 -rss_limit_mb=2048 \
	    -artifact_prefix=$(BUILD)/fuzz/ $(BUILD)/fuzz/component-corpus $(BUILD)/fuzz/component-seeds
