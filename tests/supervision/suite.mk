# The service manager's own parts, natively.
$(BUILD)/tests/supervision/manifest_test: $(call objects,sanitize,services/init/ini.c services/init/manifest.c)
$(BUILD)/tests/supervision/supervisor_test: $(call objects,sanitize,services/init/ini.c services/init/manifest.c \
                                              services/init/supervisor.c)
