/* Planets under gravity: double arithmetic, square roots and divisions. */
#include "bench.h"
#include <math.h>

struct body {
    double position[3], velocity[3], mass;
};

enum { BODIES = 5 };
static const double SOLAR_MASS = 39.47841760435743;

static const struct body initial[BODIES] = {
    {{0, 0, 0}, {0, 0, 0}, 1},
    {{4.84143144246472090, -1.16032004402742839, -0.103622044471123109},
     {0.606326392995832, 2.81198684491626, -0.0252183616598876},
     9.54791938424326609e-04},
    {{8.34336671824457987, 4.12479856412430479, -0.403523417114321381},
     {-1.01077434617879, 1.82566237123041, 0.00841576137658415},
     2.85885980666130812e-04},
    {{12.8943695621391310, -15.1111514016986312, -0.223307578892655734},
     {1.08279100644154, 0.868713018169608, -0.0108326374013636},
     4.36624404335156298e-05},
    {{15.3796971148509165, -25.9193146099879641, 0.179258772950371181},
     {0.979090732243898, 0.594698998647676, -0.0347559555040781},
     5.15138902046611451e-05},
};

static void advance(struct body *bodies, double step)
{
    for (int i = 0; i < BODIES; i++) {
        struct body *a = &bodies[i];
        for (int j = i + 1; j < BODIES; j++) {
            struct body *b = &bodies[j];
            double x = a->position[0] - b->position[0];
            double y = a->position[1] - b->position[1];
            double z = a->position[2] - b->position[2];
            double square = x * x + y * y + z * z;
            double force = step / (square * sqrt(square));
            a->velocity[0] -= x * b->mass * force;
            a->velocity[1] -= y * b->mass * force;
            a->velocity[2] -= z * b->mass * force;
            b->velocity[0] += x * a->mass * force;
            b->velocity[1] += y * a->mass * force;
            b->velocity[2] += z * a->mass * force;
        }
    }
    for (int i = 0; i < BODIES; i++)
        for (int axis = 0; axis < 3; axis++)
            bodies[i].position[axis] += step * bodies[i].velocity[axis];
}

uint64_t compute(uint32_t scale)
{
    struct body bodies[BODIES];
    memcpy(bodies, initial, sizeof bodies);
    for (int i = 0; i < BODIES; i++)
        bodies[i].mass *= SOLAR_MASS;
    for (uint32_t round = 0; round < 1000000 * scale; round++)
        advance(bodies, 0.01);
    uint64_t sum = 0;
    for (int i = 0; i < BODIES; i++)
        for (int axis = 0; axis < 3; axis++)
            sum = mix_double(sum, bodies[i].position[axis]);
    return sum;
}
