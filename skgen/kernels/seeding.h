/* Kernels of seeding for float and double. */
#ifndef SKGEN_SEEDING_H
#define SKGEN_SEEDING_H
#define REAL_IS_FLOAT
#include "seeding_of.h"
#undef REAL_IS_FLOAT
#define REAL_IS_DOUBLE
#include "seeding_of.h"
#undef REAL_IS_DOUBLE
#endif
