# `make iso`: the system of `make run` on a CD for BIOS machines.
.PHONY: iso
iso: $(BUILD)/tessera.iso
$(BUILD)/tessera.iso: $(BUILD)/kernel.elf $(EXAMPLES:%=$(BUILD)/examples/%.wasm) $(BUILD)/examples/greeter_service.wasm \
                      $(SYSTEM) platform/pc/make_iso | setup-test
	$(call SAY,ISO )
	$(Q)platform/pc/make_iso $(BUILD)/kernel.elf $(BUILD)/examples $(BUILD)/system $@
