# tests/services/PART.c with the bindings tests/services/generated/exchange_PART.c, and a service in C++.
SERVICE_TESTS := $(BUILD)/services/client.wasm $(BUILD)/services/service.wasm
$(SERVICE_TESTS): $(BUILD)/services/%.wasm: tests/services/%.c tests/services/generated/exchange_%.c \
                  tests/services/generated/exchange_%.h sdk/tessera.h sdk/service/start.c tests/services/check.h | setup-build
	$(call SAY,WASM)
	$(Q)$(LINK_SERVICE) $(filter-out sdk/%,$(filter %.c,$^)) -o $@

$(BUILD)/services/%.o: interfaces/generated/%.c | setup-build
	$(call SAY,WASM)
	$(Q)$(CC) -std=gnu17 $(filter-out -MMD -MP -Wl%,$(GUEST_FLAGS)) -c $< -o $@
$(BUILD)/services/start.o: sdk/service/start.c | setup-build
	$(call SAY,WASM)
	$(Q)$(CC) -std=gnu17 $(filter-out -MMD -MP -Wl%,$(GUEST_FLAGS)) -c $< -o $@
$(BUILD)/services/constructors.wasm: tests/services/constructors.cpp $(BUILD)/services/log_service.o $(BUILD)/services/start.o
	$(call SAY,WASM)
	$(Q)clang++-22 $(GUEST_CXXFLAGS) $(filter-out -MMD -MP,$(GUEST_FLAGS)) -nostartfiles $^ -o $@

$(BUILD)/services/older.wasm: tests/services/older.c tests/services/generated/greeter_older.c sdk/service/start.c | setup-build
	$(call SAY,WASM)
	$(Q)$(LINK_SERVICE) $(filter-out sdk/%,$(filter %.c,$^)) -o $@

# The same of things.wit and pool.wit.
THINGS_TESTS := $(addprefix $(BUILD)/services/,things_client.wasm things_service.wasm things_visitor.wasm \
                  pool_member.wasm pool_client.wasm)
$(THINGS_TESTS): $(BUILD)/services/%.wasm: tests/services/%.c tests/services/generated/%.c tests/services/generated/%.h \
                 sdk/tessera.h sdk/service/start.c tests/services/check.h | setup-build
	$(call SAY,WASM)
	$(Q)$(LINK_SERVICE) $(filter-out sdk/%,$(filter %.c,$^)) -o $@

THREADED_SERVICE_TESTS := $(BUILD)/services/threads_client.wasm $(BUILD)/services/threads_service.wasm
$(THREADED_SERVICE_TESTS): $(BUILD)/services/threads_%.wasm: tests/services/threads_%.c tests/services/service.c \
                           tests/services/generated/exchange_%.c sdk/service/start.c $(wildcard sdk/threads/*) | setup-build
	$(call SAY,WASM)
	$(Q)$(LINK_SERVICE) $$(cat sdk/threads/flags) $< tests/services/generated/exchange_$*.c sdk/threads/threads.c \
	    sdk/threads/start.s -o $@

$(BUILD)/services/starter.wasm: tests/services/starter.c interfaces/generated/log_client.c sdk/service/start.c | setup-build
	$(call SAY,WASM)
	$(Q)$(LINK_SERVICE) $(filter-out sdk/%,$(filter %.c,$^)) -o $@

$(BUILD)/services/creator.wasm $(BUILD)/services/pool_driver.wasm: $(BUILD)/services/%.wasm: tests/services/%.c sdk/tessera.h | setup-build
	$(call SAY,WASM)
	$(Q)$(LINK_SERVICE) $< -o $@

TEST_FILES += $(THINGS_TESTS) $(BUILD)/services/pool_driver.wasm $(BUILD)/services/creator.wasm $(BUILD)/services/starter.wasm $(THREADED_SERVICE_TESTS) $(BUILD)/services/older.wasm $(SERVICE_TESTS) $(BUILD)/services/constructors.wasm $(SERVICE_EXAMPLES:%=$(BUILD)/examples/%.wasm)
