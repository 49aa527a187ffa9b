(module (memory (export "shared") 1 1 shared))
