# What a program has of its share beside others: bench/neighbours.
TEST_FILES += $(BUILD)/bench-neighbours.elf $(BUILD)/bench-neighbours.wasm
