;; An exception is caught, another one passes through the thread's payload, and then the first is thrown again.
(module
  (tag $t (param i64))
  (func (export "again") (result i64)
    try (result i64)
      try (result i64)
        i64.const 42
        throw $t
      catch $t
        drop
        try
          i64.const 7
          throw $t
        catch $t
          drop
        end
        rethrow 0
      end
    catch $t
    end))
