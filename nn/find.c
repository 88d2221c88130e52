/* The table of operators, one row set an instruction set; the CPU decides which is used. */
#include "nn/op.h"
#include "op_list.h"

#define X(name) extern const struct nn_op nn_op_##name##_generic;
NN_OP_LIST(X)
#undef X
#define X(name) &nn_op_##name##_generic,
static const struct nn_op *const generic[] = {NN_OP_LIST(X)};
#undef X

#if defined(__x86_64__)
#define X(name) extern const struct nn_op nn_op_##name##_avx2, nn_op_##name##_avx512;
NN_OP_LIST(X)
#undef X
#define X(name) &nn_op_##name##_avx2,
static const struct nn_op *const avx2[] = {NN_OP_LIST(X)};
#undef X
#define X(name) &nn_op_##name##_avx512,
static const struct nn_op *const avx512[] = {NN_OP_LIST(X)};
#undef X
#else
#define avx2   generic
#define avx512 generic
#endif

enum { OPS = sizeof generic / sizeof *generic };

const struct nn_op *nn_op_at(int i)
{
    static const struct nn_op *const *const table[] = {generic, avx2, avx512};
    return i >= 0 && i < OPS ? table[descent_isa()][i] : NULL;
}

const struct nn_op *nn_op_find(const char *name)
{
    const struct nn_op *op;
    for (int i = 0; (op = nn_op_at(i)); i++)
        if (!strcmp(op->name, name))
            return op;
    return NULL;
}
