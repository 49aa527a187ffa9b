# Guests of exceptions: C++ and setjmp in both encodings, with the runtime of sdk/, and the instructions themselves.
EXCEPTION_GUESTS := $(foreach legacy,true false,language.$(legacy) jumps.$(legacy)) machine
TEST_FILES += $(EXCEPTION_GUESTS:%=$(BUILD)/exceptions/%.wasm)
EXCEPTION_FLAGS = $(filter-out -MMD -MP,$(GUEST_FLAGS)) -mllvm -wasm-use-legacy-eh=$*

$(BUILD)/exceptions/language.%.wasm: tests/exceptions/language.cpp sdk/exceptions/exceptions.cpp | setup-build
	$(call SAY,WASM)
	$(Q)mkdir -p $(@D)
	$(Q)clang++-22 -std=c++17 -fwasm-exceptions $(EXCEPTION_FLAGS) $^ -o $@

$(BUILD)/exceptions/jumps.%.wasm: tests/exceptions/jumps.c sdk/setjmp/setjmp.c sdk/setjmp/setjmp.h | setup-build
	$(call SAY,WASM)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -Isdk/setjmp -mllvm -wasm-enable-sjlj $(EXCEPTION_FLAGS) $(filter %.c,$^) -o $@

$(BUILD)/exceptions/%.wasm: tests/exceptions/%.wat | setup-test
	$(call SAY,WASM)
	$(Q)mkdir -p $(@D)
	$(Q)wat2wasm --enable-exceptions --debug-names $< -o $@
