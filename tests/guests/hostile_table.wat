;; Reads beyond a table.
(module
  (memory (export "memory") 1)
  (table $t 2 funcref)
  (func $beyond (drop (table.get $t (i32.const 2))))
  (func (export "_start") (call $beyond)))
