# What processes cost: tests/process/cost.c, as the command is built.
$(BUILD)/process-cost: $(call objects,linux,tests/process/cost.c) $(LINUX_LIBRARY)
	$(call SAY,LINK)
	$(Q)$(LINK_LINUX)

TEST_FILES += $(BUILD)/process-cost
