$(BUILD)/preemption-kernel.elf: $(call objects,pc,tests/kernel/preemption_boot.c $(PC)) $(PC_LIBRARY) platform/pc/kernel.ld
	$(call SAY,LINK)
	$(Q)$(LINK_IMAGE)
$(BUILD)/stack-kernel.elf: $(call objects,pc,tests/kernel/stack_boot.c $(PC)) $(PC_LIBRARY) platform/pc/kernel.ld
	$(call SAY,LINK)
	$(Q)$(LINK_IMAGE)

# Kernels and tests in which allocators are replaced: shortage.h.
$(BUILD)/shortage-kernel.elf: $(call objects,pc,$(addprefix tests/kernel/shortage,_boot.c .c _heap.c _frames.c) \
                                $(filter-out platform/pc/frames.c,$(PC))) $(PC_LIBRARY) platform/pc/kernel.ld
	$(call SAY,LINK)
	$(Q)$(LINK_IMAGE)
$(BUILD)/tests/kernel/shortage_test: $(call objects,sanitize,$(addprefix tests/kernel/shortage,.c _heap.c _memory.c))

TEST_FILES += $(BUILD)/preemption-kernel.elf $(BUILD)/stack-kernel.elf $(BUILD)/shortage-kernel.elf
