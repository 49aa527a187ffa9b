/* Spheres by ray tracing in single precision: float arithmetic, structures by value, recursion. */
#include "bench.h"
#include <math.h>

enum { SIZE = 160, SPHERES = 9, DEPTH = 3 };

struct vector {
    float x, y, z;
};
struct sphere {
    struct vector centre;
    float radius, shine;
};

static struct sphere spheres[SPHERES];

static struct vector add(struct vector a, struct vector b, float factor)
{
    return (struct vector){a.x + b.x * factor, a.y + b.y * factor, a.z + b.z * factor};
}

static float dot(struct vector a, struct vector b)
{
    return a.x * b.x + a.y * b.y + a.z * b.z;
}

static struct vector unit(struct vector a)
{
    float factor = 1 / sqrtf(dot(a, a));
    return (struct vector){a.x * factor, a.y * factor, a.z * factor};
}

static const struct sphere *nearest(struct vector origin, struct vector direction, float *distance)
{
    const struct sphere *found = NULL;
    *distance = 1e9f;
    for (int i = 0; i < SPHERES; i++) {
        struct vector to = add(spheres[i].centre, origin, -1);
        float along = dot(to, direction);
        float inside = spheres[i].radius * spheres[i].radius - dot(to, to) + along * along;
        if (inside < 0)
            continue;
        float hit = along - sqrtf(inside);
        if (hit > 1e-3f && hit < *distance) {
            *distance = hit;
            found = &spheres[i];
        }
    }
    return found;
}

static float trace(struct vector origin, struct vector direction, int depth)
{
    static const struct vector light = {0.5773503f, 0.5773503f, -0.5773503f};
    float distance;
    const struct sphere *sphere = nearest(origin, direction, &distance);
    if (sphere == NULL)
        return 0.2f + 0.3f * direction.y;
    struct vector point = add(origin, direction, distance);
    struct vector normal = unit(add(point, sphere->centre, -1));
    float bright = dot(normal, light), shadow;
    bright = bright < 0 || nearest(point, light, &shadow) != NULL ? 0.05f : bright;
    if (depth > 0)
        bright += sphere->shine * trace(point, add(direction, normal, -2 * dot(direction, normal)), depth - 1);
    return bright;
}

uint64_t compute(uint32_t scale)
{
    for (int i = 0; i < SPHERES; i++)
        spheres[i] = (struct sphere){{(float)(i % 3) - 1, (float)(i / 3) - 1, 3 + 0.3f * (float)i}, 0.45f, 0.4f};
    uint64_t sum = 0;
    for (uint32_t round = 0; round < 72 * scale; round++)
        for (int y = 0; y < SIZE; y++)
            for (int x = 0; x < SIZE; x++) {
                struct vector direction =
                    unit((struct vector){(float)(x - SIZE / 2) / SIZE, (float)(SIZE / 2 - y) / SIZE, 1});
                float bright = trace((struct vector){0, 0, -0.1f * (float)round / (float)scale}, direction, DEPTH);
                sum = mix(sum, (uint64_t)(int64_t)(bright * 65536));
            }
    return sum;
}
