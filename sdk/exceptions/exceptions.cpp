// C++ exceptions for wasm32-wasi: what libc++abi lacks when it was built without them, as Debian's is.
//
// To be compiled with the program, by the same flags (sdk/exceptions/README.md). The interface is that of the Itanium
// C++ ABI, as clang uses it for WebAssembly: an exception is thrown with the tag __cpp_exception and one value, which
// is the address of a `struct exception`. A handler's landing pad calls _Unwind_CallPersonality, which looks through
// the function's table for the first clause that fits; clang's own code then compares the selector. There is no search
// before unwinding: an exception that nobody catches ends the program with a trap at the throw.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <new>
#include <typeinfo>

// ---- What clang and libc++abi define ----

__asm__(".globl __cpp_exception\n"
        ".tagtype __cpp_exception i32\n"
        "__cpp_exception:\n");

namespace __cxxabiv1 {
struct __cxa_exception;
// The base of all of libc++abi's classes for types; only the order of the virtual functions matters.
class __shim_type_info : public std::type_info {
public:
    virtual ~__shim_type_info();
    virtual void noop1() const;
    virtual void noop2() const;
    // Does a handler of this type take a `thrown` object? Then `object` is made to point to what the handler gets.
    virtual bool can_catch(const __shim_type_info *thrown, void *&object) const = 0;
};
} // namespace __cxxabiv1

namespace {

using shim = __cxxabiv1::__shim_type_info;

// In front of each thrown object. A dependent exception (std::rethrow_exception) has no object of its own.
struct alignas(16) exception {
    exception *primary; // whose object it is: itself, unless dependent
    std::size_t references; // of the primary: itself while it is thrown or handled, dependents, exception_ptrs
    const std::type_info *type;
    void *(*destructor)(void *); // destructors give back their argument in WebAssembly
    void *adjusted; // what the handler that was found gets
    exception *next; // the one that was being handled when this one was caught
    int handlers;    // that handle it; negative: it was thrown again meanwhile
};

thread_local exception *caught; // innermost first
thread_local unsigned uncaught;

void *object_of(exception *e)
{
    return e->primary + 1;
}

exception *from_object(void *object)
{
    return static_cast<exception *>(object) - 1;
}

void drop_reference(exception *primary)
{
    if (--primary->references)
        return;
    if (primary->destructor)
        primary->destructor(object_of(primary));
    std::free(primary);
}

void release(exception *e)
{
    exception *primary = e->primary;
    if (e != primary)
        std::free(e);
    drop_reference(primary);
}

exception *allocate(std::size_t bytes)
{
    void *memory = std::calloc(1, sizeof(exception) + bytes);
    if (!memory)
        std::terminate();
    return static_cast<exception *>(memory);
}

[[noreturn]] void raise(exception *e)
{
    uncaught++;
    __builtin_wasm_throw(0, e);
}

// ---- The function's table: which clause takes an exception ----

std::uintptr_t read_unsigned(const std::uint8_t *&at)
{
    std::uintptr_t value = 0;
    unsigned shift = 0;
    do
        value |= std::uintptr_t(*at & 0x7f) << shift, shift += 7;
    while (*at++ & 0x80);
    return value;
}

std::intptr_t read_signed(const std::uint8_t *&at)
{
    std::uintptr_t value = 0;
    unsigned shift = 0;
    std::uint8_t byte;
    do
        byte = *at++, value |= std::uintptr_t(byte & 0x7f) << shift, shift += 7;
    while (byte & 0x80);
    if (byte & 0x40 && shift < 8 * sizeof value)
        value |= ~std::uintptr_t(0) << shift;
    return static_cast<std::intptr_t>(value);
}

constexpr std::uint8_t encoding_omitted = 0xff;

// A list of clauses: type number (0: clean up), distance to the next one. Gives the number of the first that fits, or 0.
std::intptr_t find_clause(const std::uint8_t *action, const shim *const *types, exception *e)
{
    for (;;) {
        std::intptr_t number = read_signed(action);
        const std::uint8_t *here = action;
        std::intptr_t distance = read_signed(action);
        if (number > 0) {
            const shim *type = types[-number];
            void *object = object_of(e);
            if (!type || type->can_catch(static_cast<const shim *>(e->type), object)) {
                e->adjusted = object;
                return number;
            }
        }
        if (distance == 0)
            return 0;
        action = here + distance;
    }
}

} // namespace

extern "C" {

// What a landing pad tells and is told; clang writes and reads it.
struct landing_pad_context {
    std::uintptr_t index; // of the landing pad in the function's table
    const std::uint8_t *table;
    std::uintptr_t selector; // number of the clause, 0: none
};
thread_local landing_pad_context __wasm_lpad_context;

int _Unwind_CallPersonality(void *thrown)
{
    exception *e = static_cast<exception *>(thrown);
    landing_pad_context *context = &__wasm_lpad_context;
    const std::uint8_t *at = context->table;
    context->selector = 0;
    e->adjusted = object_of(e);
    at++; // encoding of the start of landing pads: omitted
    const shim *const *types = nullptr;
    if (*at++ != encoding_omitted) {
        std::uintptr_t distance = read_unsigned(at);
        types = reinterpret_cast<const shim *const *>(at + distance);
    }
    at++; // encoding of call sites: LEB128
    std::uintptr_t bytes = read_unsigned(at);
    const std::uint8_t *actions = at + bytes;
    for (std::uintptr_t i = 0; at < actions; i++) {
        read_unsigned(at);
        std::uintptr_t action = read_unsigned(at);
        if (i == context->index) {
            context->selector = action ? find_clause(actions + action - 1, types, e) : 0;
            break;
        }
    }
    return 0;
}

// ---- Throwing ----

void *__cxa_allocate_exception(std::size_t bytes) noexcept
{
    return allocate(bytes) + 1;
}

void __cxa_free_exception(void *object) noexcept
{
    std::free(from_object(object));
}

// The result is opaque to its one user, std::make_exception_ptr.
__cxxabiv1::__cxa_exception *__cxa_init_primary_exception(void *object, std::type_info *type,
                                                          void *(*destructor)(void *)) noexcept
{
    exception *e = from_object(object);
    e->primary = e;
    e->type = type;
    e->destructor = destructor;
    return reinterpret_cast<__cxxabiv1::__cxa_exception *>(e);
}

[[noreturn]] void __cxa_throw(void *object, std::type_info *type, void *(*destructor)(void *))
{
    __cxa_init_primary_exception(object, type, destructor);
    from_object(object)->references = 1;
    raise(from_object(object));
}

[[noreturn]] void __cxa_rethrow()
{
    exception *e = caught;
    if (!e)
        std::terminate();
    e->handlers = -e->handlers;
    raise(e);
}

// ---- Handling ----

void *__cxa_get_exception_ptr(void *thrown) noexcept
{
    return static_cast<exception *>(thrown)->adjusted;
}

void *__cxa_begin_catch(void *thrown) noexcept
{
    exception *e = static_cast<exception *>(thrown);
    e->handlers = (e->handlers < 0 ? -e->handlers : e->handlers) + 1;
    if (e != caught) {
        e->next = caught;
        caught = e;
    }
    uncaught--;
    return e->adjusted;
}

void __cxa_end_catch()
{
    exception *e = caught;
    if (!e)
        return;
    bool thrown_again = e->handlers < 0;
    e->handlers += thrown_again ? 1 : -1;
    if (e->handlers)
        return;
    caught = e->next;
    if (!thrown_again)
        release(e);
}

std::type_info *__cxa_current_exception_type()
{
    return caught ? const_cast<std::type_info *>(caught->type) : nullptr;
}

unsigned __cxa_uncaught_exceptions() noexcept
{
    return uncaught;
}

bool __cxa_uncaught_exception() noexcept
{
    return uncaught != 0;
}

// ---- std::exception_ptr ----

void __cxa_increment_exception_refcount(void *object) noexcept
{
    if (object)
        from_object(object)->references++;
}

void __cxa_decrement_exception_refcount(void *object) noexcept
{
    if (object)
        drop_reference(from_object(object));
}

void *__cxa_current_primary_exception() noexcept
{
    if (!caught)
        return nullptr;
    caught->primary->references++;
    return object_of(caught);
}

void __cxa_rethrow_primary_exception(void *object)
{
    if (!object)
        return;
    exception *e = allocate(0), *primary = from_object(object);
    e->primary = primary;
    e->type = primary->type;
    primary->references++;
    raise(e);
}

// ---- What libc++abi has in forms that end the program ----

void __cxa_bad_cast()
{
    throw std::bad_cast();
}

void __cxa_bad_typeid()
{
    throw std::bad_typeid();
}

void __cxa_throw_bad_array_new_length()
{
    throw std::bad_array_new_length();
}

} // extern "C"

static void *allocate_or_throw(std::size_t bytes, std::size_t alignment)
{
    if (bytes == 0)
        bytes = 1;
    for (;;) {
        void *memory = nullptr;
        if (alignment <= alignof(std::max_align_t))
            memory = std::malloc(bytes);
        else if (bytes <= SIZE_MAX - alignment)
            memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
        if (memory)
            return memory;
        std::new_handler handler = std::get_new_handler();
        if (!handler)
            throw std::bad_alloc();
        handler();
    }
}

void *operator new(std::size_t bytes)
{
    return allocate_or_throw(bytes, 1);
}

void *operator new(std::size_t bytes, std::align_val_t alignment)
{
    return allocate_or_throw(bytes, static_cast<std::size_t>(alignment));
}
