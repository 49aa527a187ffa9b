# The service manager's own parts, natively.
$(BUILD)/tests/supervision/manifest_test: $(call objects,sanitize,$(MANIFEST_SOURCES))
$(BUILD)/tests/supervision/supervisor_test: $(call objects,sanitize,$(MANIFEST_SOURCES) \
                                              services/init/supervisor.c)

$(BUILD)/tests/supervision/ring_test: $(call objects,sanitize,services/log/ring.c)

# Guests that run under it.
SUPERVISION_GUESTS := $(addprefix $(BUILD)/supervision/,worker_1.wasm worker_2.wasm client.wasm driver.wasm forever.wasm \
                        scribble.wasm)
$(BUILD)/supervision/worker_%.wasm: tests/supervision/worker.c tests/supervision/generated/work_service.c
	$(call SAY,WASM)
	$(Q)$(LINK_SERVICE) -DVERSION=$* $(filter-out sdk/%,$(filter %.c,$^)) -o $@
$(BUILD)/supervision/client.wasm: tests/supervision/client.c tests/supervision/generated/work_client.c \
                                  interfaces/generated/init_client.c
$(BUILD)/supervision/driver.wasm: tests/supervision/driver.c tests/supervision/generated/work_client.c \
                                  $(addprefix interfaces/generated/,init_client.c log_reader.c)
$(BUILD)/supervision/forever.wasm: tests/supervision/forever.c
$(BUILD)/supervision/scribble.wasm: tests/supervision/scribble.c
$(BUILD)/supervision/%.wasm: | setup-build
	$(call SAY,WASM)
	$(Q)$(LINK_SERVICE) $(filter-out sdk/%,$(filter %.c,$^)) -o $@
$(SUPERVISION_GUESTS): sdk/tessera.h sdk/service/start.c $(wildcard interfaces/generated/*.h tests/supervision/generated/*.h)

$(BUILD)/supervision/limits.wasm: tests/supervision/limits.c sdk/tessera.h $(wildcard sdk/threads/*) | setup-build
	$(call SAY,WASM)
	$(Q)$(LINK_SERVICE) $$(cat sdk/threads/flags) $< sdk/threads/threads.c sdk/threads/start.s -o $@

TEST_FILES += $(BUILD)/supervision/limits.wasm $(SUPERVISION_GUESTS) $(SYSTEM)
