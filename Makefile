# SPDX-License-Identifier: MIT
# Builds, runs and tests Nebulet: `make help` says what there is.
#
# Sources are found by their folder: drop a file in and it is built. Core folders are freestanding:
# they see the compiler's own headers and no libc. Two variants come from the same rules: build/, and
# build/asan/ with the sanitizers. What is missing on this machine is installed by check/install.

CC = clang-22
FORMAT = clang-format-22
OBJCOPY = llvm-objcopy-22
PREFIX = /usr/local
FUZZ_SECONDS = 60
MODEL_SECONDS = 20
LIVES = 500000
CALLS = 100000000
TIMES = 1000000
SOAKED = build
HOWS = run boot
VERSION = 0.1.0

# Of clang alone: calls that keep no registers, and those that are jumps for certain, of which the interpreter is made.
ifneq (,$(findstring Free Software Foundation,$(shell $(CC) --version 2>/dev/null)))
$(error $(CC) is GCC, and Nebulet is built by clang 22: make CC=clang-22 (Debian: clang-22 lld-22 llvm-22))
endif

CORE = base wasm interp fast target/x64 rt kern fs abi arch/x86_64
HOST = plat/linux main
# What main/ has for every platform: freestanding, though it stands among hosted files.
CORE_MAIN = src/main/script.c src/main/load.c src/main/job.c
# The kernel runs where it is loaded. PC_PLAIN is code that runs while compiled code is interrupted
# anywhere, so it leaves the vector registers alone. Most loops are short: they are not unrolled.
comma = ,
PC_FLAGS = -fno-pie -mcmodel=small -fno-asynchronous-unwind-tables -falign-functions=1 -falign-loops=1 \
	-fno-unroll-loops -fno-vectorize -fno-slp-vectorize
# The core is optimized as a whole, which makes it quicker and, with a little inlining, no larger. The
# platform is not: its files count on calls that the compiler cannot see through, between what they
# tell a device and what they remember of it, since interrupts come in between.
PC_WHOLE = $(if $(filter src/plat/%,$1),,-flto)
PC_LINK = -flto $(patsubst %,-Wl$(comma)-mllvm$(comma)-%,inlinedefault-threshold=30 unroll-runtime=false \
	vectorize-loops=false vectorize-slp=false align-loops=1 align-all-functions=1)
# The image is to be small, and most of it runs once, the compiler once a function; faults, memory and
# validation are worth more. -Os also makes the interpreter one for little space.
PC_HOT = src/base/heap.c src/base/slab.c src/base/account.c $(patsubst %,src/kern/%.c,sched process thread share queue turn handover pace channel object handle clock stream event waitset) $(patsubst %,src/abi/%.c,nebulet nebulet_ipc) src/rt/trap.c src/rt/thread.c src/rt/instance.c src/abi/wasi_child.c src/fast/enter.c src/fast/integer.c $(patsubst %,src/plat/pc/%.c,pages tables fault memory heap vm apic device)
PC_SIZE = $(if $(filter $(PC_HOT) src/wasm/validate.c src/target/%,$1),,$(if $(filter src/interp/%,$1),-Os,-Oz))
PC_PLAIN = $(patsubst %,src/plat/pc/%.c,pages tables vm image code fault tlb iommu)

WARN = -Wall -Wextra -Wshadow -Wswitch-enum -Wmissing-prototypes
CFLAGS = -std=gnu11 -O2 -g -march=x86-64-v2 -Isrc -MMD -MP $(WARN) \
	-fno-stack-protector -fno-math-errno -fomit-frame-pointer -mno-red-zone -ffp-contract=off \
	-ffunction-sections -fdata-sections -fvisibility=hidden -DNEBULET_VERSION='"$(VERSION)"'
FREESTANDING = -ffreestanding -nostdlibinc
HOSTED = -D_GNU_SOURCE=
LDFLAGS = -fuse-ld=lld-22 -pie -Wl,--gc-sections -Wl,-z,now -Wl,-z,pack-relative-relocs -Wl,--as-needed
LDLIBS = -ldl
# For src/main/source.c, out of their archives: who runs it needs none of them.
SOURCE_LIBS = -Wl,-Bstatic -ldw -lelf -liberty -lz -lbz2 -llzma -Wl,-Bdynamic
SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
ENGINES = interp fast
TEXTS = $(wildcard /usr/share/common-licenses/*)
GUEST_CC = $(CC) --target=wasm32-wasi -std=gnu11 -O2 -Wall -Wextra -Wno-deprecated --no-wasm-opt

CORE_SRC = $(foreach d,$(CORE),$(wildcard src/$d/*.c src/$d/*.S)) $(wildcard $(CORE_MAIN))
KERNEL_MAIN = src/main/kernel.c src/main/words.c
PC_SRC = $(wildcard src/plat/pc/*.c src/plat/pc/*.S) $(KERNEL_MAIN)
STUB_SRC = $(wildcard src/plat/stub/*.c)
HOST_SRC = $(filter-out $(CORE_MAIN) $(KERNEL_MAIN),$(foreach d,$(HOST),$(wildcard src/$d/*.c src/$d/*.S)))
SRC = $(CORE_SRC) $(HOST_SRC)
LIB_SRC = $(filter-out src/main/%,$(SRC)) $(wildcard $(CORE_MAIN))
UNIT_SRC = $(wildcard test/unit/*.c)
FUZZ_SHARED = test/fuzz/generate.c test/fuzz/reduce.c $(wildcard test/fuzz/*.h)
FUZZ = build/fuzz/differ build/fuzz/plain build/fuzz/mutate build/asan/fuzz/mutate build/fuzz/decode build/fuzz/ninep build/fuzz/names
C_FILES = $(wildcard $(foreach d,src src/* src/*/*,$d/*.[ch]) test/*/*.[ch] user/*/*.[ch] user/*/*/*.[ch] sdk/*/*.[ch] sdk/*/*/*.[ch] bench/*.[ch] bench/*/*.[ch])
TOOLS = build/.tools

# `make V=1` prints whole commands.
Q = $(if $(V),,@)
say = $(if $(V),,@echo "  $1")

soak abi-fuzz: SHELL = bash
.PHONY: all release userspace run chroot iso test unit model check bench fuzz soak abi-fuzz asan expand stage install uninstall deb image clean help
.DELETE_ON_ERROR:
all: build/nebulet build/nebulet.elf build/drv/virtio-9p.wasm ## build/nebulet, the kernel, and its driver for folders (the default)

# --- One variant: $1 its folder, $2 its flags, $3 those of its links.
define variant
$1/obj/%.o: src/%.c Makefile | $(TOOLS)
	@mkdir -p $$(@D)
	$$(call say,CC $$@)
	$Q$(CC) $(CFLAGS) $$(if $$(filter $$<,$(CORE_SRC) $(STUB_SRC)),$(FREESTANDING),$(HOSTED)) $2 -c $$< -o $$@
$1/obj/%.o: src/%.S Makefile | $(TOOLS)
	@mkdir -p $$(@D)
	$$(call say,AS $$@)
	$Q$(CC) -Isrc -MMD -MP -g $2 -c $$< -o $$@
$1/nebulet: $(patsubst src/%,$1/obj/%.o,$(basename $(SRC)))
	$$(call say,LD $$@)
	$Q$(CC) $(LDFLAGS) $2 $3 $$^ $(SOURCE_LIBS) $(LDLIBS) -o $$@
$1/libnebulet.a: $(patsubst src/%,$1/obj/%.o,$(basename $(LIB_SRC)))
	@rm -f $$@
	$Qar rcs $$@ $$^
# A test may bring a heap of its own, which goes before the platform's.
$1/test/ninep: $(wildcard user/svc/memfs/* user/svc/ninep.*)
$1/test/names: $(wildcard user/svc/net/*.[ch] sdk/src/address.c)
$1/test/%: test/unit/%.c $1/libnebulet.a
	@mkdir -p $$(@D) $1/obj/unit
	$$(call say,CC $$@)
	$Q$(CC) $(CFLAGS) $(HOSTED) -I. -I$$(SDK)/include $2 -MF $1/obj/unit/$$*.d -MT $$@ $(LDFLAGS) -Wl,-z,muldefs $$< $1/libnebulet.a $(LDLIBS) -o $$@
$1/fuzz/%: test/fuzz/%.c $(FUZZ_SHARED) $1/libnebulet.a
	@mkdir -p $$(@D)
	$$(call say,CC $$@)
	$Q$(CC) $(filter-out -MMD -MP,$(CFLAGS)) $(HOSTED) -I. $2 $(LDFLAGS) -Wl,-z,muldefs $$(filter %.c,$$^) $1/libnebulet.a $(LDLIBS) -o $$@
$1/soak/%: test/soak/%.c $1/libnebulet.a
	@mkdir -p $$(@D)
	$$(call say,CC $$@)
	$Q$(CC) $(filter-out -MMD -MP,$(CFLAGS)) $(HOSTED) -I. $2 $(LDFLAGS) -Wl,-z,muldefs $$< $1/libnebulet.a $(LDLIBS) -o $$@
-include $(patsubst src/%,$1/obj/%.d,$(basename $(SRC))) $(patsubst test/unit/%.c,$1/obj/unit/%.d,$(UNIT_SRC))
endef
$(eval $(call variant,build,,-Wl,--icf=safe))
$(eval $(call variant,build/asan,$(SANITIZE)))

# --- The program that is installed: what compiles is built by a profile of what it does with the guests, and as a
# whole. Tests run the other one: the code that both make is the same.
TUNED = $(patsubst src/%,%,$(basename $(foreach d,fast wasm target/x64,$(wildcard src/$d/*.c))))
UNTUNED_OBJ = $(filter-out $(TUNED:%=build/obj/%.o),$(patsubst src/%,build/obj/%.o,$(basename $(SRC))))
PROFILE = build/profile/compile
# Where each branch goes is counted, not what values there are.
COUNTED = -mllvm -disable-vp
# $1 its folder, $2 its flags, $3 what they need.
define tuned
$1/%.o: src/%.c Makefile $3 | $(TOOLS)
	@mkdir -p $$(@D)
	$$(call say,CC $$@)
	$Q$(CC) $(CFLAGS) $(FREESTANDING) -g0 $2 -c $$< -o $$@
$1/nebulet: $(TUNED:%=$1/%.o) $(UNTUNED_OBJ)
	$$(call say,LD $$@)
	$Q$(CC) $(LDFLAGS) -Wl,--icf=safe $(filter-out $(COUNTED),$2) $$^ $(SOURCE_LIBS) $(LDLIBS) -o $$@
-include $(TUNED:%=$1/%.d)
endef
$(eval $(call tuned,build/profile,-fprofile-generate $(COUNTED)))
$(eval $(call tuned,build/release,-flto -fprofile-use=$(PROFILE) $(COUNTED),$(PROFILE)))

# --- The kernel: the same core once more, and the PC as its platform.
# Functions whose code is the same become one: none asks whether another is itself.
KERNEL_LINK = $(CC) $(PC_LINK) -fuse-ld=lld-22 -nostdlib -static -Wl,-O2 -Wl,--gc-sections -Wl,--icf=all \
	-Wl,--build-id=none -Wl,-z,max-page-size=64 -T src/plat/pc/kernel.ld
# One kernel's objects: $1 their folder, $2 its flags, $3 what tells the link-time flags of a file.
define kernel
$1/%.o: src/%.c Makefile | $(TOOLS)
	@mkdir -p $$(@D)
	$$(call say,CC $$@)
	$Q$(CC) $2 $(CFLAGS) $(FREESTANDING) $(PC_FLAGS) $$(call $3,$$<) $$(call PC_SIZE,$$<) $$(if $$(filter $$<,$(PC_PLAIN)),-mgeneral-regs-only) -c $$< -o $$@
$1/%.o: src/%.S Makefile | $(TOOLS)
	@mkdir -p $$(@D)
	$$(call say,AS $$@)
	$Q$(CC) $2 -Isrc -MMD -MP -g -c $$< -o $$@
-include $(patsubst src/%,$1/%.d,$(basename $(CORE_SRC) $(PC_SRC)))
endef
$(eval $(call kernel,build/kernel,,PC_WHOLE))
$(eval $(call kernel,build/probe,-Itest/probe,))

KERNEL_OBJ = $(patsubst src/%,build/kernel/%.o,$(basename $(CORE_SRC) $(PC_SRC)))
build/nebulet.elf: $(KERNEL_OBJ) src/plat/pc/kernel.ld
	$(call say,LD $@)
	$Q$(KERNEL_LINK) $(KERNEL_OBJ) -o $@

# The kernel, but it finds out for how long locks are held and C keeps a CPU (test/probe/probe.c).
PROBE_OBJ = $(patsubst build/kernel/%,build/probe/%,$(KERNEL_OBJ)) build/probe/probe.o build/probe/calls.o
PROBE_CALLS = $(addprefix rt_memory_,grow copy fill init) rt_data_drop \
	$(addprefix rt_table_,get set grow fill copy init) rt_elem_drop \
	rt_struct_new $(addprefix rt_array_,new new_of new_data new_elem fill copy init_data init_elem) rt_exception_new \
	$(addprefix rt_atomic_,wait32 wait64 notify) rt_poll rt_preempted rt_passed rt_interrupted \
	rt_check_interrupt arch_enter arch_protect arch_unwind arch_switch_stacks plat_wait \
	store_host_module plat_exit rt_init
build/probe/probe.o: test/probe/probe.c Makefile
build/probe/calls.o: test/probe/calls.S Makefile
build/probe/probe.o build/probe/calls.o: | $(TOOLS)
	@mkdir -p $(@D)
	$(call say,CC $@)
	$Q$(CC) -Itest/probe -DPROBE_HOST_BITS=9 $(CFLAGS) $(FREESTANDING) $(PC_FLAGS) -mgeneral-regs-only -c $< -o $@
build/test/kernel/probe.elf: $(PROBE_OBJ) src/plat/pc/kernel.ld
	@mkdir -p $(@D)
	$(call say,LD $@)
	$Q$(KERNEL_LINK) $(addprefix -Wl$(comma)--wrap=,$(PROBE_CALLS)) $(PROBE_OBJ) -o $@
-include build/probe/probe.d build/probe/calls.d

# Kernels that are tests: src/main/kernel.c is a file of theirs.
build/kernel/test/%.o: test/kernel/%.c Makefile | $(TOOLS)
	@mkdir -p $(@D)
	$(call say,CC $@)
	$Q$(CC) $(CFLAGS) $(FREESTANDING) $(PC_FLAGS) -c $< -o $@
.PRECIOUS: build/kernel/test/%.o
build/test/kernel/%.elf: build/kernel/test/%.o $(KERNEL_OBJ) src/plat/pc/kernel.ld
	@mkdir -p $(@D)
	$(call say,LD $@)
	$Q$(KERNEL_LINK) $(filter-out %/main/kernel.o,$(filter %.o,$^)) -o $@
-include $(patsubst test/kernel/%.c,build/kernel/test/%.d,$(wildcard test/kernel/*.c))
TEST_KERNELS = $(patsubst test/kernel/%.c,build/test/kernel/%.elf,$(wildcard test/kernel/*.c))
UNIT = $(patsubst test/unit/%.c,build/test/%,$(UNIT_SRC))

# The model checker: the kernel's own files, with a lock, a clock and smaller limits that are the model's. What an
# execution changes lies in sections of its own (state.h).
MODEL_SRC = $(wildcard src/kern/*.c src/abi/nebulet*.c src/base/*.c test/model/*.c) src/arch/x86_64/switch.S
MODEL_OBJ = $(patsubst %,build/model/obj/%.o,$(basename $(MODEL_SRC)))
MODEL_TYPES = build/model/include/abi/nebulet_types.h
MODEL_FLAGS = $(filter-out -O2 -Isrc -ffunction-sections -fdata-sections,$(CFLAGS)) -O1 -fno-pie \
	-Itest/model/include -Ibuild/model/include -Isrc -Itest/model
MODEL_KERN = $(MODEL_FLAGS) $(FREESTANDING) -include state.h -fsanitize=thread -mllvm -tsan-instrument-func-entry-exit=0
MODEL_MUTANTS = $(patsubst test/model/mutants/%,build/model/mutants/%,$(wildcard test/model/mutants/*))
$(MODEL_TYPES): src/abi/nebulet_types.h Makefile
	@mkdir -p $(@D)
	$Qsed 's/\(NEBULET_QUEUE_MAX =\) 1000/\1 2/; s/\(NEBULET_STREAM_SIZE =\) 65536/\1 8/' $< >$@
build/model/obj/%.o: %.c Makefile $(MODEL_TYPES) | $(TOOLS)
	@mkdir -p $(@D)
	$(call say,CC $@)
	$Q$(CC) $(if $(filter src/kern/% src/abi/%,$<),$(MODEL_KERN),$(MODEL_FLAGS) $(if $(filter src/%,$<),$(FREESTANDING),$(HOSTED))) -c $< -o $@
build/model/obj/%.o: %.S Makefile | $(TOOLS)
	@mkdir -p $(@D)
	$Q$(CC) -Isrc -MMD -MP -g -c $< -o $@
build/model/model: $(MODEL_OBJ)
	$(call say,LD $@)
	$Q$(CC) -fuse-ld=lld-22 -no-pie $^ -o $@
build/model/mutants/%: test/model/mutants/% test/model/mutate $(MODEL_OBJ)
	@mkdir -p $(@D)
	$(call say,MUTANT $@)
	$Qname=$$(test/model/mutate $< $@.c) && \
		$(CC) $(filter-out -MMD -MP,$(MODEL_KERN)) -c $@.c -o $@.o && \
		$(CC) -fuse-ld=lld-22 -no-pie $@.o $$(echo $(MODEL_OBJ) | sed "s,[^ ]*/src/kern/$$name\.o,,") -o $@
-include $(MODEL_OBJ:.o=.d)

model: build/model/model $(MODEL_MUTANTS) ## kern/ in every order of events that 2 deviations make, then MODEL_SECONDS=20 by chance
	@MODEL_SECONDS=$(MODEL_SECONDS) test/model/run

build/.tools: check/install
	@mkdir -p $(@D)
	check/install build
	@touch $@

# --- Guests. build/sdk has the layout in which it is installed.
SDK = build/sdk
SDK_SRC = $(wildcard sdk/src/*.c sdk/freestanding/*.c)
SDK_OBJ = $(patsubst %.c,build/%.o,$(subst sdk/,sdk-obj/,$(SDK_SRC)))
SDK_HEADERS = $(patsubst sdk/%,$(SDK)/%,$(wildcard sdk/include/*.h sdk/include/*/*.h)) \
	$(patsubst sdk/freestanding/include/%,$(SDK)/include/freestanding/%,$(wildcard sdk/freestanding/include/*)) \
	$(patsubst %,$(SDK)/include/nebulet/%,types.h sockets.h calls.def errors.def traps.def)
SDK_FILES = $(SDK_HEADERS) $(patsubst %,$(SDK)/%,lib/libsip.a lib/libsip-freestanding.a nebulet.cfg \
	nebulet-freestanding.cfg libsip.pc rust/nebulet.rs assemblyscript/nebulet.ts)
build/test/virtio build/asan/test/virtio: $(SDK_HEADERS)
SDK_CC = $(CC) --config=$(SDK)/nebulet-freestanding.cfg -std=gnu11 -O2 $(WARN)
SIP_CC = $(CC) --config=$(SDK)/nebulet.cfg -std=gnu11 -O2 $(WARN)
EXAMPLES = c rust assemblyscript
DRIVERS = $(patsubst user/drv/%/,build/drv/%.wasm,$(wildcard user/drv/*/))
SERVICES = $(patsubst user/svc/%/,build/svc/%.wasm,$(wildcard user/svc/*/)) build/svc/net-listen.wasm
GUESTS = build/guest/wordfreq.wasm build/user/init.wasm $(DRIVERS) $(SERVICES) \
	$(patsubst user/demo/%.c,build/demo/%.wasm,$(filter-out user/demo/wordfreq.c,$(wildcard user/demo/*.c)))

# Tables and types are the platform's own; a guest sees the errors that calls return, and no others.
$(SDK)/include/nebulet/types.h: src/abi/nebulet_types.h
$(SDK)/include/nebulet/sockets.h: src/abi/nebulet_sockets.h
$(SDK)/include/nebulet/calls.def: src/abi/nebulet.def
$(SDK)/include/nebulet/traps.def: src/wasm/traps.def
$(SDK)/include/nebulet/errors.def: src/base/errors.def
	@mkdir -p $(@D)
	$Qsed '/^.. Inside the runtime only/,$$d' $< >$@
$(patsubst %,$(SDK)/include/nebulet/%,types.h sockets.h calls.def traps.def):
	@mkdir -p $(@D)
	$Qcp $< $@
$(SDK)/include/freestanding/%: sdk/freestanding/include/%
	@mkdir -p $(@D)
	$Qcp $< $@
$(SDK)/%: sdk/% Makefile
	@mkdir -p $(@D)
	$Qsed 's/@VERSION@/$(VERSION)/' $< >$@
$(SDK)/rust/nebulet.rs: LANGUAGE = rust
$(SDK)/assemblyscript/nebulet.ts: LANGUAGE = assemblyscript
$(SDK)/rust/nebulet.rs $(SDK)/assemblyscript/nebulet.ts: sdk/bindings sdk/table.py sdk/reference.py $(SDK_HEADERS)
	@mkdir -p $(@D)
	$Qsdk/bindings $(LANGUAGE) >$@
build/sdk-obj/%.o: sdk/%.c $(SDK_HEADERS) sdk/src/heap.h | $(SDK)/nebulet-freestanding.cfg $(TOOLS)
	@mkdir -p $(@D)
	$(call say,GUEST $@)
	$Q$(SDK_CC) -ffreestanding -mbulk-memory -ffunction-sections -c $< -o $@
$(SDK)/lib/libsip.a: $(filter build/sdk-obj/src/%,$(SDK_OBJ))
$(SDK)/lib/libsip-freestanding.a: $(filter build/sdk-obj/freestanding/%,$(SDK_OBJ))
$(SDK)/lib/libsip.a $(SDK)/lib/libsip-freestanding.a:
	@mkdir -p $(@D)
	@rm -f $@
	$Qllvm-ar-22 rcs $@ $^
build/demo/%.wasm: user/demo/%.c $(wildcard user/demo/*.h) $(SDK_FILES)
	@mkdir -p $(@D)
	$(call say,GUEST $@)
	$Q$(SIP_CC) -Wl,--strip-debug $< -o $@
build/user/%.wasm: $(wildcard user/*/*.[ch]) $(SDK_FILES)
	@mkdir -p $(@D)
	$(call say,GUEST $@)
	$Q$(SIP_CC) -Wl,--strip-debug $(wildcard user/$*/*.c) -o $@

build/svc/%.wasm: $(wildcard user/svc/*.[ch] user/svc/*/*.[ch]) $(SDK_FILES)
	@mkdir -p $(@D)
	$(call say,GUEST $@)
	$Q$(SIP_CC) -flto -Wl,--strip-debug $(wildcard user/svc/*.c user/svc/$*/*.c) -o $@

# The service "net" with a host's sockets: what does not know where it runs is net's.
NET_COMMON = $(patsubst %,user/svc/net/%.c,watch clients reach rules address options names dns)
build/svc/sockets.wasm: user/svc/sockets/main.c $(NET_COMMON) user/svc/net/net.h $(SDK_FILES)
	@mkdir -p $(@D)
	$(call say,GUEST $@)
	$Q$(SIP_CC) -Wl,--strip-debug $(filter %.c,$^) -o $@

# A library of another's, out of Debian's sources. Where these cannot be had the service is not built; `make clean`
# lets it be tried again.
LITTLEFS = build/src/micropython/lib/littlefs
build/svc/fs.wasm: $(wildcard user/svc/*.[ch] user/svc/fs/*.[ch] user/drv/*.h) $(SDK_FILES) check/source
	@mkdir -p $(@D) build/src
	$(call say,GUEST $@)
	$Q[ -e build/src/micropython.none ] || check/source micropython/trixie || { [ $$? = 75 ] && touch build/src/micropython.none; }
	$Q[ -e build/src/micropython.none ] || $(SIP_CC) -I$(LITTLEFS) -Wl,--strip-debug $(wildcard user/svc/*.c user/svc/fs/*.c) -o $@

# What starts both, and has them in it.
EMBEDS = -Wno-c23-extensions --embed-dir=build
build/svc/disk.wasm: $(wildcard user/svc/disk/*.c) user/drv/block.h build/drv/virtio-blk.wasm build/svc/fs.wasm
	@mkdir -p $(@D)
	$(call say,GUEST $@)
	$Q[ ! -e build/svc/fs.wasm ] || $(SIP_CC) $(EMBEDS) -Wl,--strip-debug user/svc/disk/main.c -o $@

build/svc/network.wasm: user/svc/network/main.c build/drv/virtio-net.wasm build/svc/net.wasm
	@mkdir -p $(@D)
	$(call say,GUEST $@)
	$Q[ ! -e build/svc/net.wasm ] || $(SIP_CC) $(EMBEDS) -Wl,--strip-debug user/svc/network/main.c -o $@

# lwIP is Debian's source package, which is never copied into this tree. Where it cannot be had,
# there is no service "net", and what needs it says so.
LWIP = build/src/lwip/src
LWIP_SRC = $(addprefix $(LWIP)/,$(addprefix core/,def.c inet_chksum.c init.c ip.c mem.c memp.c netif.c pbuf.c tcp.c \
	tcp_in.c tcp_out.c timeouts.c udp.c) $(addprefix core/ipv4/,dhcp.c etharp.c icmp.c ip4.c ip4_addr.c) netif/ethernet.c)
LWIP_SRC_6 = $(addprefix $(LWIP)/core/ipv6/,ethip6.c icmp6.c inet6.c ip6.c ip6_addr.c mld6.c nd6.c)
NET_SRC = $(filter-out %/ports.c,$(wildcard user/svc/net/*.c))
# For who only listens, by IPv4: a machine that serves is compiled at each start.
NET_LISTENS = $(patsubst %,user/svc/net/%.c,main checksum link listen watch clients ports)
build/svc/net.wasm build/svc/net-listen.wasm: $(wildcard user/svc/net/*.[ch] user/svc/net/arch/*.h user/drv/ether.h) $(SDK_FILES) check/source
	@mkdir -p $(@D) build/src
	$(call say,GUEST $@)
	$Q[ -e build/src/lwip.none ] || check/source lwip || { [ $$? = 75 ] && touch build/src/lwip.none; }
	$Q[ -e build/src/lwip.none ] || $(SIP_CC) -matomics -msimd128 -flto -w -Wl,--strip-debug -Iuser/svc/net -isystem $(LWIP)/include \
		$(if $(filter %/net.wasm,$@),-DLWIP_IPV6=1 -DLWIP_DNS=1 $(NET_SRC) $(LWIP_SRC_6),$(NET_LISTENS)) $(LWIP_SRC) -o $@
# One after the other, for both may fetch the sources.
build/svc/net-listen.wasm: build/svc/net.wasm

# A driver's fences are to be there: a device is another processor.
build/drv/%.wasm: $(wildcard user/drv/*.[ch] user/drv/*/*.[ch]) $(SDK_FILES)
	@mkdir -p $(@D)
	$(call say,GUEST $@)
	$Q$(SIP_CC) -matomics -Wl,--strip-debug $(wildcard user/drv/*.c user/drv/$*/*.c) -o $@

$(PROFILE): build/profile/nebulet $(GUESTS)
	@rm -f build/profile/*.profraw
	$(call say,PROFILE $@)
	$Qfor m in $(GUESTS); do [ ! -f $$m ] || LLVM_PROFILE_FILE=build/profile/%m.profraw $< compile $$m || exit 1; done
	$Qllvm-profdata-22 merge -o $@ build/profile/*.profraw

release: build/release/nebulet ## build/release/nebulet, which compiles quicker: the program as it is installed

userspace: $(SDK_FILES) $(GUESTS) ## libsip, user/* and the examples of sdk/, below build/
	@check/install sdk || true
	@for language in $(EXAMPLES); do \
		sdk/examples/build $$language || [ $$? = 75 ] || exit 1; \
	done

# --- What a user types.
build/guest/%.wasm: user/demo/%.c | $(TOOLS)
	@mkdir -p $(@D)
	$(call say,GUEST $@)
	$Q$(GUEST_CC) $< -o $@

run: all build/guest/wordfreq.wasm ## a program from C, on each engine; then the same in the kernel
	@check/install run
	@for engine in $(ENGINES); do for how in run boot; do \
		echo "== nebulet $$how: user/demo/wordfreq.c on $$engine reads $(words $(TEXTS)) texts in $(dir $(firstword $(TEXTS)))"; \
		cat $(TEXTS) | build/nebulet $$how -v --engine $$engine build/guest/wordfreq.wasm || exit 1; \
	done; done

chroot: deb ## the package in a fresh Debian 12, as root: run, boot, serve, README, tutorial, and what is left of it
	@check/install chroot
	test/chroot build/nebulet_$(VERSION)_amd64.deb

# What a PC with a screen and a keyboard starts, and programs to be run there.
PC_FILES = init.wasm=build/user/init.wasm init.manifest=user/svc/shell/pc.manifest drv/vga.wasm=build/drv/vga.wasm \
	drv/ps2.wasm=build/drv/ps2.wasm svc/shell.wasm=build/svc/shell.wasm wordfreq.wasm=build/guest/wordfreq.wasm
build/pc.tar: $(foreach f,$(PC_FILES),$(lastword $(subst =, ,$f)))
	@rm -rf build/pc && mkdir -p build/pc/drv build/pc/svc
	$Q$(foreach f,$(PC_FILES),cp $(lastword $(subst =, ,$f)) build/pc/$(firstword $(subst =, ,$f)) &&) \
		tar -C build/pc --format=ustar --sort=name --owner=0 --group=0 -cf $@ .

iso: build/nebulet.iso ## a CD for a PC: banner, init's messages and a prompt, started by GRUB; and build/pc.tar, its archive
build/nebulet.iso: build/nebulet.elf build/pc.tar test/make_iso
	@check/install test
	test/make_iso build/nebulet.elf $@ build/pc.tar may=63 init=/init.wasm

unit: $(UNIT) $(TEST_KERNELS) build/test/kernel/probe.elf ## the unit tests and the kernels that are tests, built

test: all release unit build/image/nebulet build/fuzz/differ build/fuzz/plain build/model/model $(firstword $(MODEL_MUTANTS)) ## all tests; ends with N passed, N failed
	@check/install test
	test/run

# The core takes nothing from its surroundings but the machine contract and the five functions that
# a compiler may call on its own.
build/stub: $(patsubst src/%,build/obj/%.o,$(basename $(CORE_SRC) $(STUB_SRC)))
	$(call say,LD $@)
	$Q$(CC) -fuse-ld=lld-22 -nostdlib -static -Wl,-e,rt_init \
		$(foreach f,memcpy memmove memset memcmp strlen,-Wl,--defsym=$f=0) $^ -o $@

check: build/nebulet build/stub check-core check-host check-guests ## layers, reading list, format, warnings, a core that stands alone
	@check/install test
	check/layers
	check/reading
	check/abi
	$(FORMAT) --dry-run --Werror $(C_FILES)

# Warnings, in parts for those who have more than one processor.
.PHONY: check-core check-host check-guests
check-core: | $(TOOLS)
	$(CC) $(filter-out -MMD -MP,$(CFLAGS)) $(FREESTANDING) -Werror -fsyntax-only $(filter %.c,$(CORE_SRC) $(PC_SRC))
check-host: $(SDK_FILES)
	$(CC) $(filter-out -MMD -MP,$(CFLAGS)) $(HOSTED) -Werror -fsyntax-only -I. -I$(SDK)/include $(filter %.c,$(HOST_SRC)) $(UNIT_SRC)
check-guests: $(SDK_FILES) build/svc/disk.wasm build/svc/network.wasm
	$(SDK_CC) -ffreestanding -Werror -fsyntax-only $(SDK_SRC)
	$(SIP_CC) -Werror -fsyntax-only $(EMBEDS) -I$(LITTLEFS) $(filter-out user/svc/net/% $(if $(wildcard build/svc/net.wasm),,user/svc/network/%) $(if $(wildcard $(LITTLEFS)/lfs2.h),,user/svc/fs/% user/svc/disk/%),$(wildcard user/*/*.c user/drv/*/*.c user/svc/*/*.c)) $(wildcard sdk/examples/*/*.c test/sdk/*.c)
	[ ! -d $(LWIP) ] || $(SIP_CC) -matomics -Werror -fsyntax-only -Iuser/svc/net -isystem $(LWIP)/include -DLWIP_IPV6=1 -DLWIP_DNS=1 $(wildcard user/svc/net/*.c)

bench: all release ## speed, side by side with other engines
	@check/install bench
	bench/run

# The engines against each other once more: fast's code for lesser CPUs, and the small interpreter.
build/fuzz/plain: test/fuzz/differ.c test/fuzz/plain.c src/interp/run.c $(FUZZ_SHARED) build/libnebulet.a
	@mkdir -p $(@D)
	$(call say,CC $@)
	$Q$(CC) $(filter-out -MMD -MP,$(CFLAGS)) -Os $(HOSTED) -I. $(LDFLAGS) -Wl,-z,muldefs $(filter %.c,$^) build/libnebulet.a $(LDLIBS) -o $@

# libFuzzer wants to see where the code goes, so this one has its own objects.
build/fuzz/decode: test/fuzz/decode.c $(filter-out src/base/slab.c,$(wildcard src/base/*.[ch] src/wasm/*)) test/unit/heap.h
	@mkdir -p $(@D)
	$(call say,CC $@)
	$Q$(CC) $(filter-out -MMD -MP,$(CFLAGS)) $(HOSTED) -I. $(SANITIZE) -fsanitize=fuzzer $(filter %.c,$^) -o $@

build/fuzz/ninep: test/fuzz/ninep.c $(filter-out src/base/slab.c,$(wildcard src/base/*.[ch] src/fs/ninep.[ch] src/fs/vfs.[ch])) test/unit/heap.h $(wildcard user/svc/memfs/* user/svc/ninep.*)
	@mkdir -p $(@D)
	$(call say,CC $@)
	$Q$(CC) $(filter-out -MMD -MP,$(CFLAGS)) $(HOSTED) -I. $(SANITIZE) -fsanitize=fuzzer $(filter-out user/%,$(filter %.c,$^)) -o $@

build/fuzz/names: test/fuzz/names.c sdk/src/address.c $(wildcard user/svc/net/*.[ch]) $(SDK_FILES)
	@mkdir -p $(@D)
	$(call say,CC $@)
	$Q$(CC) $(filter-out -MMD -MP,$(CFLAGS)) $(HOSTED) -I. -I$(SDK)/include $(SANITIZE) -fsanitize=fuzzer $< -o $@

fuzz: build/nebulet $(FUZZ) ## FUZZ_SECONDS=60: hostile modules, and engines against each other
	@check/install fuzz
	FUZZ_SECONDS=$(FUZZ_SECONDS) test/fuzz/run

# What the long runs are made of, as the suite builds it.
KERN_GUEST = build/kern/soak/soak.wasm build/kern/fuzz/fuzz.wasm build/kern/registers/registers.wasm
$(KERN_GUEST): $(wildcard test/kern/*.[ch]) src/abi/nebulet.def | $(TOOLS)
	@mkdir -p $(@D)
	$(call say,GUEST $@)
	$Q$(GUEST_CC) -Isrc -Wl,--export=__stack_pointer -Wl,-z,stack-size=65536 test/kern/$(basename $(@F)).c -o $@

# Two rounds each; what is in use after the second must be what was after the first. The kernel
# compares for itself.
soak: all $(SOAKED)/nebulet $(SOAKED)/soak/host $(KERN_GUEST) ## LIVES=500000 processes of which nothing is left; TIMES=1000000 a CPU is taken away
	@for cpus in 1 2; do for fail in 0 500; do \
		echo "== $(LIVES) lives twice, on $$cpus CPUs$$([ $$fail = 0 ] || echo ", one allocation in $$fail fails")"; \
		$(SOAKED)/soak/host build/kern/soak/soak.wasm fast $$cpus $$fail $(LIVES) $$cpus 2>&1 >/dev/null | grep -E 'lives|left|line'; \
		[ $${PIPESTATUS[0]} = 0 ] || exit 1; done; \
		[ "$(filter boot,$(HOWS))" ] || continue; \
		echo "== $(LIVES) lives in the kernel, on $$cpus CPUs"; \
		$(SOAKED)/nebulet boot --cpus $$cpus --dir build/kern/soak::/ build/kern/soak/soak.wasm $(LIVES) $$cpus 2>&1 >/dev/null | grep -E 'lives|fatal|line'; \
		[ $${PIPESTATUS[0]} = 0 ] || exit 1; done
	@for how in $(HOWS); do for engine in $(ENGINES); do \
		echo "== nebulet $$how: registers on $$engine, preempted $(TIMES) times"; \
		$(SOAKED)/nebulet $$how --engine $$engine --cpus 1 --dir build/kern/registers::/ build/kern/registers/registers.wasm $(TIMES) 2>&1 | grep -v '^registers'; \
		[ $${PIPESTATUS[0]} = 0 ] || exit 1; done; done

abi-fuzz: all $(SOAKED)/nebulet $(KERN_GUEST) ## CALLS=100000000: random calls, by the errors that nebulet.def allows
	@for how in $(HOWS); do for cpus in 1 2; do \
		echo "== nebulet $$how, $(CALLS) calls, $$cpus CPUs"; \
		$(SOAKED)/nebulet $$how --cpus $$cpus --dir build/kern/fuzz::/ build/kern/fuzz/fuzz.wasm run $(CALLS) $$cpus 2>&1 | grep -v 'killed by'; \
		[ $${PIPESTATUS[0]} = 0 ] || exit 1; done; done

asan: all build/asan/nebulet $(UNIT:build/%=build/asan/%) ## the same tests under AddressSanitizer and UBSan
	@ln -sfn ../nebulet.elf build/asan/nebulet.elf; ln -sfn ../drv build/asan/drv; ln -sfn ../svc build/asan/svc
	@for t in $(UNIT:build/%=build/asan/%); do echo $$t; $$t || exit 1; done
	$(MAKE) soak abi-fuzz SOAKED=build/asan HOWS=run LIVES=2000 TIMES=10000 CALLS=1000000
	NEBULET=build/asan/nebulet test/run guest kern wasi spec cli

expand: ## F=src/wasm/types.c: what the .def tables of a file expand to
	@$(CC) $(filter-out -MMD -MP,$(CFLAGS)) $(FREESTANDING) -E -P $(F) | $(FORMAT)

# What is installed, as a tree; the rest is copying, taking away, or packing it.
STAGE = build/stage
STAGED_DOC = README.md DESIGN.md CHANGELOG.md LICENSE $(wildcard doc/*.md) doc/logo.svg doc/nebulet.gdb
stage: all release $(GUESTS) $(SDK_FILES)
	@check/stage $(STAGE) $(OBJCOPY) "$(GUESTS)" "$(STAGED_DOC)"

install: stage ## into PREFIX=/usr/local
	install -d "$(DESTDIR)$(PREFIX)"
	cp -R $(STAGE)/. "$(DESTDIR)$(PREFIX)"

uninstall: stage ## what install has put there, and the folders that are ours
	@cd $(STAGE) && find . -type f -exec sh -c 'for f; do rm -f "$$0/$$f"; done' "$(DESTDIR)$(PREFIX)" {} +
	@for folder in lib/nebulet share/doc/nebulet; do \
		if [ -d "$(DESTDIR)$(PREFIX)/$$folder" ]; then find "$(DESTDIR)$(PREFIX)/$$folder" -depth -type d -empty -delete; fi; done

deb: stage ## build/nebulet_VERSION_amd64.deb
	@check/deb $(STAGE) $(VERSION) build/nebulet_$(VERSION)_amd64.deb

# The program for a place where there is nothing else.
build/image/nebulet: $(patsubst src/%,build/obj/%.o,$(basename $(SRC)))
	@mkdir -p $(@D)
	$(call say,LD $@)
	$Q$(CC) $(filter-out -pie,$(LDFLAGS)) -Wl,--icf=safe -static-pie -Wl,-s $^ $(filter -l%,$(SOURCE_LIBS) $(LDLIBS)) -o $@

image: build/image/nebulet ## build/nebulet_VERSION_image.tar, a container image (OCI) that has only build/nebulet
	@check/image $< $(VERSION) build/nebulet_$(VERSION)_image.tar

clean: ## removes build/
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 16
