"""Parts of bench/run: what is measured (programs, engines), how (process) and how it is told (report)."""
