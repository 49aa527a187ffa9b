// What C++ programs do with exceptions; the output is compared with language.expected.
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

struct noisy {
    const char *name;
    explicit noisy(const char *n) : name(n) {}
    ~noisy() { std::printf("~%s\n", name); }
};

static int positive(int x)
{
    noisy local("local");
    if (x < 0)
        throw std::runtime_error("negative: " + std::to_string(x));
    return x;
}

struct base {
    virtual ~base() {}
    int number = 1;
};
struct other {
    virtual ~other() {}
};
struct derived : other, base {
    ~derived() { std::printf("~derived\n"); }
};

struct throws_inside {
    ~throws_inside()
    {
        try {
            throw 5;
        } catch (int i) {
            std::printf("inner %d, uncaught %d\n", i, std::uncaught_exceptions());
        }
    }
};

static int deep(int n)
{
    std::unique_ptr<int> owned(new int(n));
    if (n == 0)
        throw std::logic_error("deep");
    return deep(n - 1) + *owned;
}

static void types()
{
    try {
        throw derived();
    } catch (const base &b) {
        std::printf("base %d\n", b.number);
    }
    try {
        derived d;
        throw &d;
    } catch (base *b) {
        std::printf("pointer to base\n");
    }
    try {
        throw 'c';
    } catch (int) {
        std::printf("wrong\n");
    } catch (char c) {
        std::printf("char %c\n", c);
    }
    try {
        throws_inside t;
        throw std::string("text");
    } catch (std::string s) {
        std::printf("%s\n", s.c_str());
    }
}

static void again()
{
    try {
        try {
            throw 42;
        } catch (int i) {
            std::printf("int %d\n", i);
            throw;
        }
    } catch (...) {
        std::printf("thrown again\n");
    }
    try {
        try {
            throw 1;
        } catch (int) {
            throw 2;
        }
    } catch (int i) {
        std::printf("replaced by %d\n", i);
    }
    std::exception_ptr kept;
    try {
        deep(1000);
    } catch (...) {
        kept = std::current_exception();
    }
    for (int i = 0; i < 2; i++) {
        try {
            std::rethrow_exception(kept);
        } catch (std::logic_error &e) {
            std::printf("kept %s\n", e.what());
        }
    }
    try {
        std::rethrow_exception(std::make_exception_ptr(std::out_of_range("made")));
    } catch (std::exception &e) {
        std::printf("%s\n", e.what());
    }
    try {
        try {
            throw std::runtime_error("inner");
        } catch (...) {
            std::throw_with_nested(std::logic_error("outer"));
        }
    } catch (std::exception &outer) {
        try {
            std::rethrow_if_nested(outer);
        } catch (std::exception &inner) {
            std::printf("%s in %s\n", inner.what(), outer.what());
        }
    }
}

static void library()
{
    try {
        std::vector<int> v(3);
        v.at(7) = 1;
    } catch (std::out_of_range &) {
        std::printf("out of range\n");
    }
    try {
        base b;
        std::printf("%p\n", static_cast<void *>(&dynamic_cast<derived &>(b)));
    } catch (std::bad_cast &) {
        std::printf("bad cast\n");
    }
    try {
        volatile std::size_t bytes = 0xf0000000;
        std::unique_ptr<char[]> block(new char[bytes]);
        block[bytes / 2] = 1;
        std::printf("%d\n", block[bytes / 2]);
    } catch (std::bad_alloc &) {
        std::printf("bad alloc\n");
    }
}

int main()
{
    try {
        noisy outer("outer");
        positive(1);
        positive(-1);
    } catch (const std::runtime_error &e) {
        std::printf("%s\n", e.what());
    }
    types();
    again();
    library();
    long sum = 0;
    for (int i = 0; i < 300000; i++) {
        try {
            throw i;
        } catch (int k) {
            sum += k % 1000;
        }
    }
    std::printf("%ld, uncaught %d\n", sum, std::uncaught_exceptions());
    std::fflush(stdout);
    throw 1;
}
