;; Two functions that call each other through a table for ever.
(module
  (memory (export "memory") 1)
  (type $t (func (param i32) (result i32)))
  (table funcref (elem $ping $pong))
  (func $ping (type $t) (i32.add (i32.const 1) (call_indirect (type $t) (local.get 0) (i32.const 1))))
  (func $pong (type $t) (i32.add (i32.const 1) (call_indirect (type $t) (local.get 0) (i32.const 0))))
  (func (export "_start") (drop (call $ping (i32.const 0)))))
