;; A memory of more than 4 GiB beside a small one; for tests/kernel/memory64_test.c.
(module
  (memory $large i64 1 300000)
  (memory $small 1 1)
  (func (export "grow") (param i64) (result i64) (memory.grow $large (local.get 0)))
  (func (export "size") (result i64) (memory.size $large))
  (func (export "load") (param i64) (result i64) (i64.load $large (local.get 0)))
  (func (export "load_behind") (param i64) (result i64) (i64.load $large offset=0xffffffff (local.get 0)))
  (func (export "store") (param i64 i64) (i64.store $large (local.get 0) (local.get 1)))
  (func (export "fill") (param i64 i64) (memory.fill $large (local.get 0) (i32.const 0x11) (local.get 1)))
  (func (export "to_small") (param i64 i64) (memory.copy $small $large (i32.const 8) (local.get 0) (i32.const 16)))
  (func (export "small") (param i64) (result i64) (i64.load $small (i32.wrap_i64 (local.get 0)))))
