// SPDX-License-Identifier: MIT
// The state of the baseline compiler while it walks a body, and the register bookkeeping that every
// part of it uses.
//
// How it thinks
//   The operand stack is simulated: a slot says where its value is (a constant, a register, a local
//   that has not been copied yet, the flags, or its place in the frame). local.get and constants
//   make no code. Locals live in the frame ("home") and are cached in registers. A cached local is
//   clean (the home holds the same value) or dirty. Some are *pinned*: for the extent of a region
//   (the function, or a loop) they stay in one register, whatever happens, so that joins and back
//   edges cost nothing for them (pins.c). Others are cached as long as it lasts: at a branch the
//   dirty ones are stored, and at a join those survive that all edges agree on (join.c). A register
//   belongs to a cached local (cache), to one slot (temp), to the instruction being compiled
//   (busy), or is free.
//
// Room in the memory for code is checked once per instruction (FAST_STEP bytes are always left),
// and in every loop whose length the input chooses (fast_room).
#pragma once
#include "base/vec.h"
#include "fast/fast.h"
#include "target/x64/abi.h"
#include "target/x64/asm.h"
#include "target/x64/cpu.h"
#include "wasm/engine.h"
#include "wasm/leb.h"
#include "wasm/simd.h"

// Operand types as registers see them: bit 0 = 64 bits wide, bit 1 = xmm.
enum ty { T32, T64, TF32, TF64, TV128 = 6 };
#define ty_wide(t) ((t) & 1)
#define ty_fp(t) ((t) >> 1)

enum slot_kind { SLOT_MEM, SLOT_CONST, SLOT_REG, SLOT_LOCAL, SLOT_FLAGS };

struct slot {
    u8 kind, type, reg; // reg: also the condition of SLOT_FLAGS. type: T64 also of an i32's local
                        // that has been extended
    u8 bits : 7;        // the value has no more than these; 0: not known. BITS_SUM: see next
    bool last : 1;      // SLOT_LOCAL: nobody reads this value of the local after it
    u32 next;           // SLOT_LOCAL: next older slot + 1 that refers to the same local. BITS_SUM:
                        // the value is that of this number plus imm (below.c)
    union {
        u64 imm; // of TV128: 0, or the index of one in f->vectors + 1
        u32 local;
    };
};

enum { BITS_SUM = 127 };

// What a 64-bit value is: a numbered one plus a constant (below.c). 0: of none that has a number.
struct sum {
    u32 value;
    u64 add;
};

// Conditions beyond the machine's sixteen: float equality needs two flags. Inverting any condition
// flips bit 0.
enum { CC_FEQ = 16, CC_FNE = 17 };

// What is cached where. States at labels and elses live in a pool (join.c) and are numbered from 1.
struct regs {
    u32 next_free;
    u32 cache, dirty; // bit r: register r holds local[r]; that value is newer than the home
    u32 local[32];
};

// A region: the function or a loop, and the locals it keeps in fixed registers.
struct region {
    u32 pins;
    u32 local[32];
};

enum ctl_kind { CTL_BLOCK, CTL_LOOP, CTL_IF, CTL_ELSE, CTL_FUNC, CTL_TRY, CTL_CATCH };

struct ctl {
    u8 kind;
    bool result_reg; // the label's one value comes in rax or xmm0; else all values in their frame
                     // slots
    u8 result_type;  // enum ty, of that one
    u32 height;      // of the operand stack below the parameters
    u32 nparams, nresults;
    const valtype *results; // types (wasm)
    u32 arity;              // values that a branch carries
    u32 state;      // in the pool: where all branches to the label agree; 0: nothing branches to it
    u32 else_state; // IF: when the condition is false
    u32 chain;      // forward branches: offset of the latest rel32 + 1, which holds the one before
    u32 else_site;  // IF: rel32 of the jump when the condition is false
    u32 header;     // LOOP: code offset
    u32 dispatch;   // LOOP: table + 1 whose jump the header comes to in a straight line
    u32 region;     // in force at the label
    u32 outer_region; // LOOP: of the code after its end
    u32 label;        // id + 1 in labels, when something out of line refers to it
    u32 stamp, jump;  // of the latest br_table that has it, and the entry for it
    u32 handler;      // TRY, CATCH: the next one + 1; 0: none
    u32 note;         // TRY: of body->tries
    u32 hidden;       // CATCH: frame cell of the reference for rethrow
    u32 found;        // f->found when it was entered
};

// The branch that a body begins with, if that is a way out (guard.c). Registers are those that
// parameters come in.
struct guard {
    bool there;
    u8 cc, left, right; // right: NO_REG: imm
    s32 imm;
    u32 block; // of ctls, at whose end it is seen where it leads; 0: nothing to be seen
    u32 value; // what is returned: a register, or NO_REG, and
    s32 add;   // a number
};

// Code out of line: in the cold buffer until the function is complete.
struct cold {
    u32 site;   // rel32 in the hot code that leads here; UINT32_MAX: reached through a jump table
    u32 start;  // in the cold buffer
    u32 jmp;    // rel32 in the cold buffer of the jump back
    u32 target; // label id, or hot offset when is_offset
    u32 wasm;   // offset in the module, and bytes pushed below the frame, for traces
    u32 adjust;
    bool is_offset;
    u32 final; // offset in the function when placed
};

struct trap_site {
    u32 site; // rel32 of the jump
    u32 wasm, adjust;
    u8 trap;
};

#define IN_COLD 0x80000000u // the offset is in the cold buffer

struct call_site {
    u32 site; // disp32 of the call, or jump, through the table; or IN_COLD until that is placed
    u32 entry;
    enum {
        SITE_CALL,
        SITE_READ,
        SITE_TAIL
    } kind; // READ: of what only reads the entry; TAIL: the
            // code that finds out where to jump to
};

// A tail call: the way out of the function (call.c).
struct tail {
    u32 site;   // rel32 of the jump there, in the body
    u32 wasm;   // offset in the module
    u32 func;   // index; UINT32_MAX: the vm_func in r11
    u32 args;   // bytes of stack arguments
    u32 staged; // bytes below the frame where they are so far
};

struct jump_table {
    u32 site; // disp32 of the lea that loads its address
    u32 first, count;
    u32 jcc, beyond; // rel32 of the jump for an index beyond it, and the label that it goes to
    u32 start, end;  // of code that is put at the loop's back edges, too, with both in it; or 0
    u32 where_start, where_end; // in f->wheres, of that code
    u32 at;                     // where it lies
};
struct jump_copy { // of that code, so much further on
    u32 table, further;
};
#define JUMP_COLD 0x80000000u // an entry is an index into colds, not a label

struct constant_site {
    u32 site; // disp32 of an instruction whose operand is a constant
    u32 index;
};

struct where { // code offset -> byte offset in the module and bytes pushed, only when asked for
               // (site_of)
    u32 code, wasm, adjust;
    s32 moved; // as in code_site
};
struct where_vec {
    struct where *at;
    u32 count, capacity;
};

// A v128 that is held as four locals of 32 bits (lanes.c).
struct lanes {
    u32 local; // whose value it is; of one on the operand stack a number that no local has
    u32 first; // its four locals
    bool built;
    u8 own; // of one on the stack: lanes that have been set, by bits. The others are as lane 0
    // Not computed: a constant, or lanes of `of`, shifted to the right and masked.
    bool constant;
    u8 of, shift;
    u32 mask;
    u64 imm; // as of a slot
};
enum { BUILDING = 2 };

struct fast {
    struct assembler a;
    u8 *start; // of the function: offsets are relative to it
    u8 *limit; // less than FAST_STEP bytes are left past this
    const u8 *pc;
    const u8 *op;         // the instruction that is being compiled
    const local_use *use; // the next one of a local
    struct slot *slots;
    u32 sp;
    u32 flushed; // slots below are SLOT_MEM or SLOT_CONST
    u32 cache, dirty, temp, busy;
    u32 spent; // registers of pinned locals that were read for the last time now
    u32 alloc; // registers that may be handed out
    u32 rotor; // for eviction
    u32 region;
    u32 rsp_adjust; // bytes pushed below the frame while a call is prepared
    u32 nhomes;
    u32 prologue; // bytes left for it in front of the body
    u32 saved;    // callee-saved registers in use
    u32 zf_reg;   // this register is not 0 if the flags at zf_at say zf_cc
    u8 *zf_at;
    bool zf_wide;
    u8 zf_cc;

    // What is known of addresses of 64 bits (below.c), and how much has been found out so far.
    bool far; // there may be such
    u32 values, found;
    struct named { // the local was this sum when this use of one came next; NULL: nothing is known
        const local_use *since;
        u32 local, found;
        struct sum is;
    } named[16];
    struct below { // is below 4 GiB
        struct sum is;
        u32 found;
    } below[8];
    u32 named_next, below_next; // which of them the next one replaces

    struct { // the next instruction takes the result into a pinned local
        u32 reg, local;
        bool tee;
        const u8 *next;
    } hint;

    struct lanes lanes[LANE_LOCALS + BUILDING]; // the last are those on the operand stack
    u32 nlanes;
    u32 lazy; // bit g: what lanes[g] is has not been computed

    u32 reg_local[32];
    u32 reg_slot[32];
    u8 *local_reg;  // [nlocals]: register that caches it, or NO_REG
    u8 *local_type; // enum ty
    u32 *ref_head;  // [nlocals]: newest slot + 1 that refers to it
    u32 *home;      // [nlocals + max_stack + 1 + hidden]: frame cell + 1, 0 while it has none
    u32 *weight;    // [nlocals]: scratch of pins.c, all zero between uses
    u32 *touched;   // [nlocals + 1]: the same
    u32 nlocals;    // those of `lanes` included

    VEC(struct ctl) ctls;
    VEC(struct regs) states;
    u32 free_state;
    VEC(struct region) regions;
    VEC(u8) cold;
    VEC(struct cold) colds;
    VEC(struct trap_site) traps;
    VEC(struct call_site) calls;
    VEC(struct tail) tails;
    struct guard guard;
    u32 tails_start; // where the code for them starts
    bool returns;    // something reaches the end of the body
    VEC(u32) labels; // label id -> code offset
    VEC(u32) jumps;  // jump table entries
    VEC(struct jump_table) tables;
    VEC(struct jump_copy) copies;
    VEC(union v128) vectors; // constants on the operand stack
    VEC(u64) constants;      // floating-point ones and halves of vectors, read where they lie
    VEC(struct constant_site) constant_sites;
    VEC(u32) polls;    // rel32 of the jumps that polls take
    VEC(u32) incoming; // disp32 that want the distance from rsp to the first stack argument added
    VEC(u64) storage;  // behind local_reg, ..., weight
    VEC(struct slot) slot_storage;

    const struct module *m;
    u32 features; // enum x64_feature
    const struct body *body;
    u32 func; // index
    u32 loop; // number of the next loop in the body
    struct {  // the latest loop: its number in ctls, + 1, its first instruction, and what there was
        u32 ctl, marks;
        const u8 *pc;
    } line;
    u32 loop_depth;
    u32 stamp;
    bool reachable;
    bool polling;   // loops of this function poll
    u32 poll_start; // offset of the code out of line for the first poll, POLL_BYTES for each
    u8 *hard_limit; // that of the code; f->limit comes before it, to look up on the way there
    const u8 *notes_from, *look_at; // fast_note wants to know of the instructions from there on
    u8 *cold_return, *cold_limit;   // of the hot code, while the cold buffer is being written
    struct func_code code;

    VEC(struct code_throws) throws; // pad: number in colds + 1
    VEC(u32) handlers;              // of body->handlers: where, or JUMP_COLD and a number in colds
    u32 try;                        // number of the next one in body->tries
    u32 trying;                     // what calls here belong to, + 1; 0: nothing

    const struct compiled *c;
    struct validator *validator;
    u8 *memory; // what is being compiled
    u64 room;
    bool locates; // notes where each instruction's code starts, for site_of:
    struct where_vec wheres;
    u32 located;  // whose these are; 0: nobody's
    bool no_pins; // second try of a function whose code was out of proportion
    union {
        struct {
            bool full, oom; // ran out of room for code, of memory
        };
        u16 stopped; // either
    };
};

enum {
    FAST_STEP = 8192, // upper bound on the code of one instruction outside of checked loops
    PIN_DEPTH = 4,    // loops nested deeper keep the pins of the one around them
    // Frames up to this size cannot jump over the guard below the stack: every call touches the
    // stack.
    FRAME_UNCHECKED = 32768,
    TRAP_BYTES = 3,  // of x64_trap
    POLL_BYTES = 13, // of a poll, out of line
};

#define BIT(r) (1u << (r))
#define GPR_MASK 0x0000ffffu
#define XMM_MASK 0xffff0000u
enum {
    SCRATCH = R11, // never handed out: moves between memory, calls through a vm_func
    SCRATCH_XMM = XMM15,
    INSTANCE = R14,
    MEMORY = R15,
};
#define CALLEE_SAVED (BIT(RBX) | BIT(RBP) | BIT(R12) | BIT(R13))
#define CALLER_SAVED                                                                               \
    (BIT(RAX) | BIT(RCX) | BIT(RDX) | BIT(RSI) | BIT(RDI) | BIT(R8) | BIT(R9) | BIT(R10) |         \
     0x7fff0000u)

// What regions may pin. Left for temporaries: rax rcx rdx rsi and xmm0-xmm3, at least.
#define PIN_CALLEE CALLEE_SAVED
#define PIN_CALLER (BIT(RDI) | BIT(R8) | BIT(R9) | BIT(R10) | 0x7ff00000u)

static inline enum ty ty_of(valtype type)
{
    switch (type) {
    case TYPE_I32: return T32;
    case TYPE_F32: return TF32;
    case TYPE_F64: return TF64;
    case TYPE_V128: return TV128;
    default: return T64;
    }
}

static inline u32 class_of(enum ty t)
{
    return ty_fp(t) ? XMM_MASK : GPR_MASK;
}

static inline u32 here(const struct fast *f)
{
    return (u32)(f->a.p - f->start);
}

// --- below.c
void sums_join(struct fast *f, u32 found); // forgets what has been found out since
// At the head of a loop: of locals that it writes, by what f->weight says of its uses; NULL: of
// all.
void sums_loop(struct fast *f, const u32 *weight);
void sum_name(struct fast *f, u32 local, struct sum); // a local has been set to it
void sum_unname(struct fast *f, u32 local);           // what is in its register is something else
struct sum sum_of(struct fast *f, const struct slot *s); // popped or not
void slot_sum(struct fast *f, struct slot *s);           // of a local: before it is one no more
void set_sum(struct fast *f, u32 local, const struct slot *s); // the popped slot goes there
// Is the address known to be below 4 GiB, but for what the guard covers beside the offset? If not,
// it is from now on.
bool sum_is_below(struct fast *f, const struct slot *s, u64 offset);

// Code that comes here from elsewhere knows nothing of what this code has found out since the
// label's block was entered.
static inline void joined(struct fast *f, u32 found)
{
    f->zf_at = NULL;
    if (unlikely(f->far))
        sums_join(f, found);
}

// False, and sticky, when fewer than n + FAST_STEP bytes are left.
// The limit may only say that it is time to look up. Then it moves on; if not, the code is full.
bool fast_look(struct fast *f, size_t n);

static inline bool fast_room(struct fast *f, size_t n)
{
    if (likely((size_t)(f->limit - f->a.p) >= n && f->a.p <= f->limit))
        return true;
    return fast_look(f, n);
}

static inline u32 wasm_offset(const struct fast *f)
{
    return (u32)(f->op - f->m->bytes);
}

// That code for the instruction `op` starts here: for locate, or it is time to look up.
void fast_note(struct fast *f, const u8 *op);
void fast_look_at(struct fast *f, const u8 *op); // the latter alone
void fast_pause(struct fast *f);                 // looks up
static inline void locate_note(struct fast *f, const u8 *op)
{
    if (unlikely(op >= f->notes_from))
        fast_note(f, op);
}

// --- lanes.c: all but the first two want has_lanes()
u32 lanes_locals(const struct body *body); // so many more locals
void lanes_begin(struct fast *f);
u32 lanes_of(const struct fast *f, u32 local);   // number in f->lanes, or NO_LANES
void lanes_load(struct fast *f, u32 dst, u32 g); // the whole vector; flags survive
void lanes_settle(struct fast *f);               // before control may go elsewhere; flags survive
enum { NO_LANES = 32 };

static inline bool has_lanes(const struct fast *f)
{
    return LANES_HELD && unlikely(f->nlanes);
}

// The popped slot, or one on the stack, is such a vector.
static inline u32 slot_lanes(const struct fast *f, const struct slot *s)
{
    return has_lanes(f) && s->kind == SLOT_LOCAL && s->type == TV128 ? lanes_of(f, s->local)
                                                                     : NO_LANES;
}

static inline void settle_lanes(struct fast *f)
{
    if (LANES_HELD && unlikely(f->lazy))
        lanes_settle(f);
}

// --- regs.c: the less frequent halves
u32 reg_evict(struct fast *f, u32 allowed); // reg_alloc() when none is free
void reg_take(struct fast *f, u32 r);   // makes register r free for the current instruction (busy)
void local_drop(struct fast *f, u32 r); // forgets the cached local in r, storing it first if dirty
void slot_spill(struct fast *f, u32 index); // a register or local slot into its frame cell
void refs_materialize(struct fast *f,
                      u32 local); // before the local changes: slots that refer to it get copies
void slots_flush(struct fast *f); // all slots become SLOT_MEM or SLOT_CONST
// A popped slot was the last use of its local. If that is in a register, this is the slot's now; a
// pinned one is `spent`, and may take a result in.
void slot_inherit(struct fast *f, struct slot *s);
u32 value_load(struct fast *f, const struct slot *s);     // value_reg() of what is in no register
u32 pop_reg(struct fast *f);                              // pop() and value_reg()
u32 slot_reg(const struct fast *f, const struct slot *s); // where the value is, or NO_REG
void slot_to_reg(struct fast *f, u32 index,
                 u32 reg); // copies a slot's value; flags and other state untouched
void slot_to_home(struct fast *f, u32 index,
                  u32 target); // copies a slot's value to the frame cell of slot `target`
void dirty_write(struct fast *f, u32 which); // stores the locals in these registers

// Stores dirty locals in registers not in keep; they become clean.
static inline void dirty_store(struct fast *f, u32 keep)
{
    u32 which = f->dirty & ~keep;
    if (which)
        dirty_write(f, which);
}

// A v128 takes two cells. What lies in a slot of the operand stack may be of any type.
static inline struct x64_operand frame_at(struct fast *f, u32 cell_index)
{
    u32 *h = &f->home[cell_index];
    if (!*h) {
        *h = f->nhomes + 1;
        bool two = cell_index < f->nlocals ? f->local_type[cell_index] == TV128 : f->body->simd;
        f->nhomes += two ? 2 : 1;
    }
    return x64_at(RSP, (s32)((*h - 1) * 8 + f->rsp_adjust));
}

// A register from memory, and to it; of an i32 its cell.
static inline void load_mem(struct fast *f, enum ty t, u32 dst, struct x64_operand m)
{
    static const u32 insns[] = {[T32] = I_MOV_LOAD,
                                [T64] = I_MOV_LOAD,
                                [TF32] = I_MOVSS_LOAD,
                                [TF64] = I_MOVSD_LOAD,
                                [TV128] = I_MOVUPS_LOAD};
    x64_mem(&f->a, insns[t], ty_wide(t), dst, m);
}

static inline void store_mem(struct fast *f, enum ty t, u32 src, struct x64_operand m)
{
    static const u32 insns[] = {[T32] = I_MOV_STORE,
                                [T64] = I_MOV_STORE,
                                [TF32] = I_MOVSS_STORE,
                                [TF64] = I_MOVSD_STORE,
                                [TV128] = I_MOVUPS_STORE};
    x64_mem(&f->a, insns[t], ty_wide(t), src, m);
}

static inline void move_reg(struct fast *f, enum ty t, u32 dst, u32 src)
{
    if (dst == src)
        return;
    if (ty_fp(t))
        x64_reg(&f->a, I_MOVAPS, false, dst, src);
    else
        x64_reg(&f->a, I_MOV_LOAD, ty_wide(t), dst, src);
}

static inline void load_frame(struct fast *f, enum ty t, u32 dst, u32 cell_index)
{
    s32 at = frame_at(f, cell_index).disp;
    if (!ty_fp(t))
        x64_frame(&f->a, I_MOV_LOAD, ty_wide(t), dst, at);
    else if (ty_wide(t))
        x64_frame(&f->a, I_MOVSD_LOAD, false, dst, at);
    else if (likely(t == TF32))
        x64_frame(&f->a, I_MOVSS_LOAD, false, dst, at);
    else
        x64_frame(&f->a, I_MOVUPS_LOAD, false, dst, at);
}

static inline void store_frame(struct fast *f, enum ty t, u32 cell_index, u32 src)
{
    s32 at = frame_at(f, cell_index).disp;
    if (!ty_fp(t))
        x64_frame(&f->a, I_MOV_STORE, ty_wide(t), src, at);
    else if (ty_wide(t))
        x64_frame(&f->a, I_MOVSD_STORE, false, src, at);
    else if (likely(t == TF32))
        x64_frame(&f->a, I_MOVSS_STORE, false, src, at);
    else
        x64_frame(&f->a, I_MOVUPS_STORE, false, src, at);
}

static inline u32 stack_cell(const struct fast *f, u32 slot_index)
{
    return f->nlocals + slot_index;
}

// Of the reference that a catch keeps; `hidden` as the validator has numbered it.
static inline u32 hidden_cell(const struct fast *f, u32 hidden)
{
    return hidden + f->body->max_stack + 1;
}

// cold.c: insn reg, [constant], of as many bytes as the instruction reads. Not in code out of line.
void constant_operand(struct fast *f, u32 insn, u32 reg, u64 imm);
void vector_operand(struct fast *f, u32 insn, u32 reg,
                    const union v128 *v);                         // the same, of 16 bytes
void vector_to_reg(struct fast *f, u32 dst, const union v128 *v); // flags survive

// A constant into a register; the flags survive.
static inline void const_to_reg(struct fast *f, enum ty t, u32 dst, u64 imm)
{
    if (!ty_fp(t)) {
        x64_mov_imm(&f->a, dst, imm);
    } else if (imm == 0) {
        x64_reg(&f->a, I_XORPS, false, dst, dst);
    } else if (unlikely(t == TV128)) {
        vector_to_reg(f, dst, &f->vectors.at[imm - 1]);
    } else if (!f->cold_return) {
        constant_operand(f, ty_wide(t) ? I_MOVSD_LOAD : I_MOVSS_LOAD, dst, imm);
    } else {
        x64_mov_imm(&f->a, SCRATCH, imm);
        x64_reg(&f->a, I_MOVD_TO_XMM, ty_wide(t), dst, SCRATCH);
    }
}

static inline u32 regs_free(const struct fast *f, u32 class)
{
    return f->alloc & class & ~(f->cache | f->temp | f->busy);
}

// A free register of a class (GPR_MASK, XMM_MASK), busy for this instruction.
static inline u32 reg_alloc(struct fast *f, u32 class)
{
    u32 free = regs_free(f, class);
    if (unlikely(!free))
        return reg_evict(f, class);
    u32 r = (u32)__builtin_ctz(free);
    f->busy |= free & -free;
    return r;
}

static inline bool owned(const struct fast *f, u32 r)
{
    return !(f->cache & BIT(r));
}

static inline void cache_put(struct fast *f, u32 r, u32 local, bool is_dirty)
{
    f->cache |= BIT(r);
    f->dirty = (f->dirty & ~BIT(r)) | (is_dirty ? BIT(r) : 0);
    f->reg_local[r] = local;
    f->local_reg[local] = (u8)r;
}

static inline void cache_remove(struct fast *f, u32 r)
{
    f->cache &= ~BIT(r);
    f->dirty &= ~BIT(r);
    f->local_reg[f->reg_local[r]] = NO_REG;
}

static inline bool pinned(const struct fast *f, u32 r)
{
    return f->regions.at[f->region].pins & BIT(r);
}

// All that the region may pin of a class it does: another local has fewer uses than those.
static inline bool crowded(const struct fast *f, u32 class)
{
    return !((PIN_CALLEE | PIN_CALLER) & class & ~f->regions.at[f->region].pins);
}

// --- Slots
static inline struct slot *push(struct fast *f, enum slot_kind kind, enum ty t)
{
    struct slot *s = &f->slots[f->sp++];
    store_u32((u8 *)s, kind | t << 8); // kind and type; nothing is known of it
    return s;
}

static inline void push_reg(struct fast *f, enum ty t, u32 r)
{
    f->temp |= BIT(r);
    f->reg_slot[r] = f->sp;
    push(f, SLOT_REG, t)->reg = (u8)r;
}

static inline void push_local(struct fast *f, u32 local, bool last)
{
    struct slot *s = push(f, SLOT_LOCAL, f->local_type[local]);
    s->local = local;
    s->last = last;
    s->next = f->ref_head[local];
    f->ref_head[local] = f->sp;
}

static inline void push_const(struct fast *f, enum ty t, u64 imm)
{
    push(f, SLOT_CONST, t)->imm = imm;
}

// Takes the top slot off; its register, if it owns one, is busy now. It stays where it is until the
// next one is pushed: a copy would wait for what has just been written to it.
static inline struct slot *pop_slot(struct fast *f)
{
    struct slot *s = &f->slots[--f->sp];
    if (s->kind == SLOT_REG) {
        f->temp &= ~BIT(s->reg);
        f->busy |= BIT(s->reg);
    } else if (s->kind == SLOT_LOCAL) {
        f->ref_head[s->local] = s->next;
        if (s->last)
            slot_inherit(f, s);
    }
    if (f->sp < f->flushed)
        f->flushed = f->sp;
    return s;
}

static inline struct slot pop(struct fast *f)
{
    return *pop_slot(f);
}

// The value of a popped slot in a register (busy). Not to be changed unless owned().
static inline u32 value_reg(struct fast *f, const struct slot *s)
{
    if (s->kind == SLOT_REG)
        return s->reg;
    if (s->kind == SLOT_LOCAL && f->local_reg[s->local] != NO_REG) {
        f->busy |= BIT(f->local_reg[s->local]);
        return f->local_reg[s->local];
    }
    return value_load(f, s);
}

// --- pins.c
void pins_function(struct fast *f);
// Fills in `out` for loop number `loop`, entered from region `outer`; which locals it writes, as a
// register mask.
void pins_loop(struct fast *f, const struct loop_note *note, const struct region *outer,
               struct region *out, u32 *written);

// --- flow.c
void flow_block(struct fast *f, enum ctl_kind kind);
void flow_if(struct fast *f);
void flow_else(struct fast *f);
bool flow_end(struct fast *f); // false: that was the function's
void flow_br(struct fast *f, u32 depth);
void flow_br_on_null(struct fast *f, u32 depth);
void flow_br_on_non_null(struct fast *f, u32 depth);
// For a branch that the topmost reference goes with, which is decided by code: the reference in its
// frame cell, and for now in a register; and the branch, once the flags are set.
u32 ref_to_frame(struct fast *f);
void flow_br_flags(struct fast *f, u32 depth, u32 cc);
bool flow_br_if(struct fast *f, u32 depth); // false: a br that follows has been compiled, too
void flow_br_table(struct fast *f);
void pins_assume(struct fast *f); // in code that nothing reaches
void flow_poll(struct fast *f);   // should another thread run? Keeps all registers
void flow_skip(struct fast *f);   // to the else, catch or end that closes the innermost open block;
                                  // nothing runs in between
void trap_if(struct fast *f, u32 cc, enum trap trap);
u32 pop_condition(struct fast *f); // the flags are set; returns the condition

// --- catch.c
void flow_try(struct fast *f);
void flow_try_table(struct fast *f);
void flow_catch(struct fast *f, bool all);
void flow_throw(struct fast *f, u32 tag);
void flow_throw_ref(struct fast *f);
void flow_rethrow(struct fast *f, u32 depth);
// Of something that may throw: it returns to here, and to `other`, if that is not 0. What it
// clobbers is in no register any more.
void throws_note(struct fast *f, u32 other);
void catch_place(struct fast *f); // the tables

// --- cold.c
struct cold *cold_begin(struct fast *f, u8 *site, size_t size); // NULL: no memory, or no room
void cold_end(struct fast *f, struct cold *c);                  // with a jump to c->target
void cold_place(struct fast *f); // after the body: polls, code out of line, traps, tables

// --- call.c
void call_function(struct fast *f, u32 func);
#define NO_TABLE UINT32_MAX // in place of a table: of the reference on the stack
void call_indirect(struct fast *f, u32 type, u32 table);
void tail_call(struct fast *f, u32 func);
void tail_call_indirect(struct fast *f, u32 type, u32 table);
// Calls a function of wasm/runtime.h: (vm, constants..., the topmost nslots slots[, pointer to
// vm->scratch]). Of a slot in an xmm register the argument is anything, and the value in
// vm->heap->operand. The result, if any, is in rax; checked says that it is an enum trap.
void call_runtime(struct fast *f, const void *function, const u64 *constants, u32 nconstants,
                  u32 nslots, bool out, bool checked);
// For code in line that may come to such a call out of line: what a call clobbers is in no register
// any more; and the call, whose result is in rax. It goes on at the target that the caller sets.
void call_clobber(struct fast *f);
struct cold *call_runtime_cold(struct fast *f, u8 *site, const void *function, const u64 *constants,
                               u32 nconstants);
void call_enter(struct fast *f); // the start of the body: arguments to where they live
extern const u8 argument_gpr[6]; // the registers of integer arguments, in their order
void call_leave(struct fast *f); // the epilogue, and the prologue in front of the body
void call_entry(struct fast *f, bool jump, u32 entry);              // of the module's table
void call_store_result(struct fast *f, enum ty t, u32 r, u32 cell); // into the caller's result area

// --- guard.c
void guard_begin(struct fast *f); // before the body is compiled
void guard_end(struct fast *f);   // at the end of the block that it leaves
u8 *guard_place(struct fast *f);  // in front of the prologue: the rel32 of the jump
void guard_leave(struct fast *f); // where that jumps to

// --- walk.c
void ops_walk(struct fast *f);
