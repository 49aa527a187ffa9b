# The random driver of the interface "tessera", which offers an interface, too.
$(BUILD)/random/driver.wasm: tests/random/driver.c interfaces/generated/log_service.c sdk/service/start.c sdk/tessera.h \
                             abi/tessera/functions.def kernel/objects.def | setup-build
	$(call SAY,WASM)
	$(Q)$(LINK_SERVICE) -mbulk-memory -Wl,--initial-memory=1048576 $(filter-out sdk/%,$(filter %.c,$^)) -o $@
RANDOM_FILES := $(BUILD)/random/driver.wasm $(BUILD)/sanitize/tessera $(BUILD)/tsan/tessera
TEST_FILES += $(RANDOM_FILES)
