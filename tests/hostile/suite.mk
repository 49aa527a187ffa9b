# The kernel as a Linux program that boots an archive as a machine would.
$(BUILD)/boot-linux: $(call objects,linux,tests/support/boot_linux.c) $(LINUX_LIBRARY)
	$(call SAY,LINK)
	$(Q)$(LINK_LINUX)

TEST_FILES += $(BUILD)/boot-linux
