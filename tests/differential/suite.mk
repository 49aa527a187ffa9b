# The maker of modules for tests/differential/run.
$(BUILD)/make_modules: $(call objects,linux,tests/differential/make_modules.c $(addprefix tests/fuzz/,generate.c generate_more.c wrap.c)) \
                       $(LINUX_LIBRARY)
	$(call SAY,LINK)
	$(Q)$(LINK_LINUX)

TEST_FILES += $(BUILD)/make_modules $(BUILD)/spec-linux
