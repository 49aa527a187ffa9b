# `make fuzz`: FUZZ_MODULES random modules of wasm-tools smith against each of two other engines (tests/differential/smith),
# then each libFuzzer target for FUZZ_SECONDS, then as long the random driver of the interface "tessera" (tests/random).
# `make fuzz-smoke`: the libFuzzer targets for a bounded number of inputs (also suite `fuzz` of `make test`).
FUZZ_SECONDS ?= 600
FUZZ_MODULES ?= 50000
FUZZ_SEED ?= $(shell date +%s)
FUZZ_CFLAGS := $(SANITIZE_CFLAGS) -fsanitize=fuzzer-no-link
FUZZ := $(addprefix $(BUILD)/fuzz/fuzz_,compile component texts)
FUZZ_GUESTS := $(BUILD)/examples/hello.wasm $(TEST_GUESTS:%=$(BUILD)/guests/%.wasm)

$(BUILD)/fuzz/%.o: % | setup-fuzz
	$(call SAY,CC  )
	$(Q)$(CC) $(FUZZ_CFLAGS) -c $< -o $@
$(BUILD)/fuzz/fuzz_compile: $(call objects,fuzz,$(ENGINE) $(addprefix tests/fuzz/,fuzz_compile.c generate.c generate_more.c wrap.c))
$(BUILD)/fuzz/fuzz_component: $(call objects,fuzz,$(ENGINE) tests/fuzz/fuzz_component.c)
$(BUILD)/fuzz/fuzz_texts: $(call objects,fuzz,$(ENGINE) $(KERNEL) $(LINUX) $(MANIFEST_SOURCES) \
                            tests/fuzz/fuzz_texts.c)
$(FUZZ):
	$(call SAY,LINK)
	$(Q)$(CC) -fuse-ld=lld-22 -fsanitize=fuzzer,address,undefined -o $@ $^

$(BUILD)/fuzz/compile-seeds: tests/fuzz/seeds $(FUZZ_GUESTS) | setup-test
	$(call SAY,SEED)
	$(Q)rm -rf $@ && tests/fuzz/seeds $@ $(SUITE) $(FUZZ_GUESTS)

$(BUILD)/fuzz/component-seeds: tests/fuzz/component_seeds tests/component/vectors.txt | setup-test
	$(call SAY,SEED)
	$(Q)rm -rf $@ && tests/fuzz/component_seeds $@ tests/component/vectors.txt

$(BUILD)/fuzz/texts-seeds: tests/fuzz/text_seeds services/manifest tests/supervision/manifest | setup-test
	$(call SAY,SEED)
	$(Q)rm -rf $@ && tests/fuzz/text_seeds $@

FUZZ_FILES := $(FUZZ) $(FUZZ:$(BUILD)/fuzz/fuzz_%=$(BUILD)/fuzz/%-seeds)
TEST_FILES += $(FUZZ_FILES)

.PHONY: fuzz fuzz-smoke
fuzz-smoke: $(FUZZ_FILES)
	tests/fuzz/run $(BUILD)
fuzz: all $(FUZZ_FILES) $(BUILD)/spec-linux $$(RANDOM_FILES)
	@tests/fuzz/long $(BUILD) $(FUZZ_MODULES) $(FUZZ_SECONDS) $(FUZZ_SEED)
