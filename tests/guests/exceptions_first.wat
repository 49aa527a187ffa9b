;; For tests/kernel/exceptions_test.c: exceptions between two instances, through host functions and over tail calls. Each
;; instance has its letter in its memory; results are 1000 * value of the exception + letter of the instance that caught.
(module $first
  (import "second" "pair" (tag $pair (param i32 i64)))
  (import "second" "table" (table 2 funcref))
  (import "second" "throw" (func $throw (param i32) (result i32)))
  (import "second" "throw_own" (func $throw_own (param i32) (result i32)))
  (import "second" "back" (func $back (param i32) (result i32)))
  (import "second" "catch" (func $catch (param i32) (result i32)))
  (import "second" "tail" (func $tail (param i32) (result i32)))
  (import "host" "attempt" (func $attempt (param i32) (result i32)))
  (memory 1)
  (data (i32.const 0) "f")
  (type $i_i (func (param i32) (result i32)))
  (elem (i32.const 0) $raise)

  (func $raise (param i32) (result i32) (throw $pair (local.get 0) (i64.const -5)))

  ;; `which` of the ways to throw, caught here, with locals that callees keep and change
  (func $way (param $which i32) (param $n i32) (result i32)
    (block $tail (block $attempt (block $catch (block $back (block $own (block $throw
      (br_table $throw $own $back $catch $attempt $tail (local.get $which)))
      (return (call $throw (local.get $n))))
      (return (call $throw_own (local.get $n))))
      (return (call $back (local.get $n))))
      (return (call $catch (local.get $n))))
      (return (call $attempt (local.get $n))))
    (call $tail (local.get $n)))

  (func (export "way") (param $which i32) (param $n i32) (result i32)
    (local $a i32) (local $b i64) (local $c i32) (local $d i32)
    (local.set $a (i32.add (local.get $n) (i32.const 1)))
    (local.set $b (i64.const 99))
    (local.set $c (i32.add (local.get $n) (i32.const 2)))
    (local.set $d (i32.add (local.get $n) (i32.const 3)))
    (try (result i32)
      (do (call $way (local.get $which) (local.get $n)))
      (catch $pair
        (if (i64.ne (i64.const -5)) (then (unreachable)))
        (if (i32.ne (local.get $a) (i32.add (local.get $n) (i32.const 1))) (then (unreachable)))
        (if (i64.ne (local.get $b) (i64.const 99)) (then (unreachable)))
        (if (i32.ne (local.get $c) (i32.add (local.get $n) (i32.const 2))) (then (unreachable)))
        (if (i32.ne (local.get $d) (i32.add (local.get $n) (i32.const 3))) (then (unreachable)))
        (i32.add (i32.mul (i32.const 1000)) (i32.load8_u (i32.const 0))))
      (catch_all (i32.load8_u (i32.const 0)))))

  (func (export "uncaught") (param i32) (result i32) (call $back (local.get 0)))

  ;; many, of which none is kept
  (func (export "many") (param $n i32) (result i32) (local $sum i32)
    (loop
      (try (do (drop (call $raise (local.get $n))))
        (catch $pair (drop) (local.set $sum (i32.add (local.get $sum)))))
      (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))
