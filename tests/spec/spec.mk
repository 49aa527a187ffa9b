# The official suite as a Linux program and as a bootable image, from the same objects as the kernel.
SPEC := $(wildcard tests/spec/*.c)
SUITE ?= ../shared/spec/testsuite.tar.xz

$(BUILD)/spec-linux: $(call objects,linux,$(SPEC) tests/support/boot_linux.c) $(LINUX_LIBRARY)
	$(call SAY,LINK)
	$(Q)$(LINK_LINUX)
$(BUILD)/spec-kernel.elf: $(call objects,pc,$(SPEC) $(PC)) $(PC_LIBRARY) platform/pc/kernel.ld
	$(call SAY,LINK)
	$(Q)$(LINK_IMAGE)

TEST_FILES += $(BUILD)/spec-linux $(BUILD)/spec-kernel.elf

.PHONY: spec
spec: $(BUILD)/spec-linux $(BUILD)/spec-kernel.elf | setup-run setup-test
	@tests/spec/run $(BUILD) $(SUITE)
