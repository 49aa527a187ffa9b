# The maker of modules for tests/differential/run.
$(BUILD)/make_modules: $(call objects,linux,tests/differential/make_modules.c tests/fuzz/generate.c tests/fuzz/wrap.c) \
                       $(LINUX_LIBRARY)
	$(call SAY,LINK)
	$(Q)$(LINK_LINUX)

TEST_FILES += $(BUILD)/make_modules $(BUILD)/spec-linux
