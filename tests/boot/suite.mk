# A kernel that checks what it stands on, in place of the real one.
$(BUILD)/boot-check.elf: $(call objects,pc,$(wildcard tests/boot/*.c) $(PC)) $(PC_LIBRARY) platform/pc/kernel.ld
	$(call SAY,LINK)
	$(Q)$(LINK_IMAGE)

TEST_FILES += $(BUILD)/boot-check.elf $(BUILD)/tessera.iso
