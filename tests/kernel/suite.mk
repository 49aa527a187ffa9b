$(BUILD)/preemption-kernel.elf: $(call objects,pc,tests/kernel/preemption_boot.c $(PC)) $(PC_LIBRARY) platform/pc/kernel.ld
	$(call SAY,LINK)
	$(Q)$(LINK_IMAGE)

TEST_FILES += $(BUILD)/preemption-kernel.elf
