;; Half of what tests/kernel/exceptions_test.c calls; see exceptions_first.wat.
(module $second
  (memory 1)
  (data (i32.const 0) "s")
  (table (export "table") 2 funcref)
  (type $i_i (func (param i32) (result i32)))
  (tag $pair (export "pair") (param i32 i64))
  (tag $own (param i32 i64))

  (func (export "throw") (param i32) (result i32)
    (throw $pair (local.get 0) (i64.const -5)))
  (func (export "throw_own") (param i32) (result i32)
    (throw $own (local.get 0) (i64.const 6)))
  ;; calls what the other instance has put into the table
  (func (export "back") (param $n i32) (result i32) (local $a i32) (local $b i32)
    (local.set $a (i32.mul (local.get $n) (i32.const 3)))
    (local.set $b (i32.mul (local.get $n) (i32.const 5)))
    (local.set $a (i32.add (local.get $a) (call_indirect (type $i_i) (local.get $n) (i32.const 0))))
    (i32.add (local.get $a) (local.get $b)))
  ;; the same, but catches, and says so with its memory
  (func (export "catch") (param $n i32) (result i32)
    (try (result i32)
      (do (call_indirect (type $i_i) (local.get $n) (i32.const 0)))
      (catch $own (drop) (drop) (i32.const 0))
      (catch $pair (drop) (i32.add (i32.mul (i32.const 1000))
        (i32.load8_u (i32.const 0))))))
  (func (export "tail") (param i32) (result i32)
    (return_call_indirect (type $i_i) (local.get 0) (i32.const 0))))
