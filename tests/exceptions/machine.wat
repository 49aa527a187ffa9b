;; The older encoding: deep unwinding, registers that frames keep, delegate and rethrow. Traps when something is wrong,
;; else ends with an exception that nobody catches.
(module
  (tag $number (param i64))
  (tag $other (param f64 i32))
  (global $count (mut i32) (i32.const 0))

  ;; Many locals that live across the call, in registers that are to be kept.
  (func $deep (param $n i32) (result i32)
    (local $a i32) (local $b i32) (local $c i64) (local $d i32) (local $e i64) (local $f i32) (local $g f64)
    (local.set $a (i32.mul (local.get $n) (i32.const 3)))
    (local.set $b (i32.mul (local.get $n) (i32.const 5)))
    (local.set $c (i64.extend_i32_s (local.get $a)))
    (local.set $d (i32.mul (local.get $n) (i32.const 7)))
    (local.set $e (i64.extend_i32_s (local.get $b)))
    (local.set $f (i32.mul (local.get $n) (i32.const 9)))
    (local.set $g (f64.convert_i32_s (local.get $n)))
    (if (i32.eqz (local.get $n)) (then (throw $number (i64.const 77))))
    (local.set $a (i32.add (local.get $a) (call $deep (i32.sub (local.get $n) (i32.const 1)))))
    (i32.add (i32.add (local.get $a) (local.get $b))
      (i32.add (i32.wrap_i64 (i64.add (local.get $c) (local.get $e)))
        (i32.add (i32.trunc_f64_s (local.get $g)) (i32.add (local.get $d) (local.get $f))))))

  (func $require (param i32) (if (i32.eqz (local.get 0)) (then (unreachable))))

  ;; The locals are as they were at the call that threw, not as they were at the try.
  (func $keeps (param $n i32)
    (local $a i32) (local $b i64) (local $c f64) (local $d i32) (local $e i32) (local $f i32) (local $g i32) (local $h i32)
    (local.set $a (i32.const 1)) (local.set $b (i64.const 2)) (local.set $c (f64.const 3)) (local.set $d (i32.const 4))
    (local.set $e (i32.const 5)) (local.set $f (i32.const 6)) (local.set $g (i32.const 7)) (local.set $h (i32.const 8))
    (i32.const 1234)
    (try (result i64)
      (do
        (local.set $a (i32.const 11)) (local.set $b (i64.const 12)) (local.set $c (f64.const 13))
        (local.set $d (i32.const 14)) (local.set $e (i32.const 15)) (local.set $f (i32.const 16))
        (local.set $g (i32.const 17)) (local.set $h (i32.const 18))
        (drop (call $deep (local.get $n)))
        (local.set $a (i32.const 21))
        (i64.const 0))
      (catch $other (drop) (drop) (i64.const 0))
      (catch $number))
    (call $require (i64.eq (i64.const 77)))
    (call $require (i32.eq (i32.const 1234)))
    (call $require (i32.eq (local.get $a) (i32.const 11)))
    (call $require (i64.eq (local.get $b) (i64.const 12)))
    (call $require (f64.eq (local.get $c) (f64.const 13)))
    (call $require (i32.eq (local.get $d) (i32.const 14)))
    (call $require (i32.eq (local.get $e) (i32.const 15)))
    (call $require (i32.eq (local.get $f) (i32.const 16)))
    (call $require (i32.eq (local.get $g) (i32.const 17)))
    (call $require (i32.eq (local.get $h) (i32.const 18)))
    (call $require (i32.eq (local.get $n) (local.get $n))))

  (func $again (result i32)
    (try $outer (result i32)
      (do
        (try (result i32)
          (do
            (try $middle (result i32)
              (do (try (result i32) (do (throw $other (f64.const 2.5) (i32.const 9))) (delegate $middle)))
              (catch $other (drop) (drop) (rethrow $middle))))
          (catch_all (global.set $count (i32.add (global.get $count) (i32.const 1))) (rethrow 0))))
      (catch $other (global.set $count (i32.add (global.get $count) (i32.const 10)))
        (call $require (i32.eq (i32.const 9))) (call $require (f64.eq (f64.const 2.5))) (i32.const 3))))

  (func $leave (throw $number (i64.const 1)))

  (func $start (export "_start") (local $i i32)
    (loop
      (call $keeps (local.get $i))
      (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 300))))
    (call $keeps (i32.const 40000))
    (call $require (i32.eq (call $again) (i32.const 3)))
    (call $require (i32.eq (global.get $count) (i32.const 11)))
    (try (do (call $leave)) (catch $other (drop) (drop)))))
