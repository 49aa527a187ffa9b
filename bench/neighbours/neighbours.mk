# make bench-neighbours: what a program has of its share beside others that want more than theirs.
$(BUILD)/bench-neighbours: $(call objects,linux,$(addprefix bench/neighbours/,main.c measure.c)) $(LINUX_LIBRARY)
	$(call SAY,LINK)
	$(Q)$(LINK_LINUX)
$(BUILD)/bench-neighbours.elf: $(call objects,pc,$(addprefix bench/neighbours/,boot.c measure.c) $(PC)) $(PC_LIBRARY) \
                               platform/pc/kernel.ld
	$(call SAY,LINK)
	$(Q)$(LINK_IMAGE)
$(BUILD)/bench-neighbours.wasm: bench/neighbours/guest.c sdk/tessera.h sdk/threads/threads.c sdk/threads/start.s \
                                sdk/threads/pthread.h sdk/threads/flags | setup-build
	$(call SAY,WASM)
	$(Q)$(CC) -std=gnu17 $(filter-out -MMD -MP,$(GUEST_FLAGS)) $$(cat sdk/threads/flags) $(filter %.c %.s,$^) -o $@

.PHONY: bench-neighbours
bench-neighbours: $(BUILD)/bench-neighbours $(BUILD)/bench-neighbours.elf $(BUILD)/bench-neighbours.wasm | setup-run
	$(Q)bench/neighbours/run $(BUILD)
