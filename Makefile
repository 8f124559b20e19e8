# One Makefile for the whole tree: `make help` lists the targets, `make V=1` shows the commands.
# Files are found by wildcard, so a new source, test, fuzz target or bench needs no line here.
#
#   SAN=address,undefined | SAN=thread   with sanitizers        \  each in an object tree
#   DEBUG=1                              -O0, for a debugger    /  of its own
#   PROFILE=                             without a profile of what the program does most (needs a run)
#   WERROR=1                             warnings are errors (for CI; not for users' compilers)
#   CC CPPFLAGS CFLAGS LDFLAGS           honoured: added to ours, after them
#   O=DIR                                where all products go (build)

NAME       := bustap
LAYERS     := base capture decode analysis report cli
PKGS       := libzstd zlib nettle libpcap libcap-ng libseccomp libbpf ncurses
TEST_PKGS  := cmocka jansson hiredis

CC           ?= cc
CLANG        ?= clang
CLANG_FORMAT ?= clang-format
CLANG_TIDY   ?= clang-tidy
PKG_CONFIG   ?= pkg-config
# Debian's own, which has python3-pytest; another python3 may come first on PATH.
PYTHON       ?= /usr/bin/python3
PREFIX       ?= /usr/local
DESTDIR      ?=
O            ?= build
FUZZ_SECONDS ?= 60
BPFTOOL      ?= /usr/sbin/bpftool

comma := ,
SANITIZERS := address,undefined
# The object tree of this run: other flags, other tree, so builds never mix.
B := $(O)$(if $(SAN),/$(subst $(comma),-,$(SAN)))$(if $(DEBUG),/debug)

# ---- flags ------------------------------------------------------------------------------------

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith \
        -Wwrite-strings -Wimplicit-fallthrough -Wformat=2 $(if $(WERROR),-Werror)
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
# _FORTIFY_SOURCE needs an optimiser, and hides overruns from the sanitizers.
HARDEN := -fPIE -fstack-protector \
          $(if $(SAN)$(DEBUG)$(filter -O0,$(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
# A packet's way crosses a dozen files, so the program is optimised as a whole: a quarter faster. Only
# gcc can keep ordinary code beside it in the same objects, which the tests are linked from.
IS_GCC := $(shell $(CC) -v 2>&1 | grep '^gcc version')
LTO := $(if $(SAN)$(DEBUG),,$(if $(IS_GCC),-flto=auto))
# And as what it does most: a first build is run on the captures in pcaps/ and counts, the real one
# is optimised by these counts, a twentieth to a tenth faster. Counted once per object tree (`make
# clean` forgets it): later changes go unprofiled, functions that changed are not misled by it.
PROFILE := $(if $(LTO),$(B)/profile)
COUNTED := $(PROFILE:=/counted)
PROFILE_USE := $(if $(PROFILE),-fprofile-use -fprofile-partial-training -fprofile-correction -Wno-missing-profile -Wno-coverage-mismatch)
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -I. -I$(B) $(WARN) $(if $(DEBUG),-O0 -g3,-O3 -g) $(HARDEN) \
              $(LTO) $(if $(LTO),-ffat-lto-objects) $(SANFLAGS) $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null) $(CPPFLAGS) $(CFLAGS)
ALL_LDFLAGS := $(if $(LTO),-O3) -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(SANFLAGS) $(CFLAGS) $(LDFLAGS)
LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null) $(LDLIBS)
TEST_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(TEST_PKGS) 2>/dev/null)
TEST_LIBS := $(shell $(PKG_CONFIG) --libs $(TEST_PKGS) 2>/dev/null)

VERSION := $(file < VERSION)
COMMIT := $(shell [ -e .git ] && git describe --always --dirty --exclude='*' 2>/dev/null)

# ---- files ------------------------------------------------------------------------------------

programs = $(patsubst %.c,$(B)/%,$(foreach d,$(1),$(wildcard tests/$(d)/*.c)))

SRC      := $(foreach d,$(LAYERS),$(wildcard $(d)/*.c))
OBJ      := $(SRC:%.c=$(B)/%.o)
LIBOBJ   := $(filter-out $(B)/cli/%,$(OBJ))
TESTLIB  := $(addsuffix .o,$(call programs,lib))
UNIT     := $(call programs,unit)
PROP     := $(call programs,prop)
MUTATE   := $(call programs,mutate)
BENCH    := $(call programs,bench)
ASK      := $(call programs,commands)
LOAD     := $(B)/tests/lab/load
FUZZERS  := $(filter $(B)/tests/fuzz/fuzz_%,$(call programs,fuzz))
REPLAYS  := $(FUZZERS:$(B)/tests/fuzz/fuzz_%=$(B)/tests/fuzz/replay_%)
C_FILES  := $(foreach d,$(LAYERS) bpf tests/* tests/lab/preload,$(wildcard $(d)/*.[ch]))

# ---- how things are said, and how rules share -----------------------------------------------------

ifeq ($(V),1)
Q :=
else
Q := @
say = @printf '  %-6s %s\n' '$(1)' '$(2)';
MAKEFLAGS += --no-print-directory
endif

# Written only when the content changes: another flag rebuilds all, another version one file.
keep = @mkdir -p $(@D); printf '%s\n' '$(subst ','\'',$(1))' | cmp -s - $@ || \
       printf '%s\n' '$(subst ','\'',$(1))' > $@

# $(call pytest,ARGUMENTS): the python tests; none collected (status 5) is no failure. One worker
# more than processors: two of them mostly wait (see tests/conftest.py).
WORKERS ?= $(shell expr $$(nproc) + 1)
pytest = @BUSTAP=$(abspath $(B))/$(NAME) PYTHONDONTWRITEBYTECODE=1 \
         $(PYTHON) -m pytest -q -o cache_dir=$(abspath $(O))/pytest -n $(WORKERS) --dist loadgroup \
         $(1) tests || [ $$? = 5 ]

.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all
.PHONY: all FORCE

# ---- building ---------------------------------------------------------------------------------

all: $(B)/$(NAME)  ## build the program (the default): build/bustap

$(B)/$(NAME): $(OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(LTO) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(B)/%.o: %.c $(B)/.flags | $(B)/version.h $(COUNTED)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(EXTRA_CFLAGS) $(PROFILE_USE) -MMD -MP -c -o $@ $<

# The kernel side of live capture: clang makes it, bpftool makes a header of it.
$(B)/bpf/%.skel.h: bpf/%.bpf.c bpf/record.h
	$(call say,BPF,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -Wno-unused-parameter -I. \
	    -I/usr/include/$(shell $(CC) -print-multiarch) -c -o $(@:.skel.h=.o) $<
	$(Q){ echo '// NOLINTBEGIN'; $(BPFTOOL) gen skeleton $(@:.skel.h=.o) name $(*F)_bpf; \
	    echo '// NOLINTEND'; } > $@
$(B)/capture/skim.o $(B)/tidy/capture/skim: $(B)/bpf/skim.skel.h

$(B)/profile/counted:
	$(call say,COUNT,what $(NAME) does most (PROFILE= does without))
	$(Q)$(MAKE) -s PROFILE= O=$(PROFILE) CFLAGS='$(CFLAGS) -fprofile-generate -fprofile-update=single' \
	    $(PROFILE)/$(NAME) > $(PROFILE).log 2>&1 || { cat $(PROFILE).log; exit 1; }
	$(Q)for capture in pcaps/*.zst; do $(PROFILE)/$(NAME) analyze $$capture > $(PROFILE).log || exit 1; done
	$(Q)cd $(PROFILE) && find . -name '*.gcda' -exec cp --parents {} .. \;
	$(Q)touch $@

$(B)/.flags: FORCE
	@$(PKG_CONFIG) --exists --print-errors $(PKGS) || { echo '`make deps` names the packages' >&2; exit 1; }
	$(call keep,$(CC) $(ALL_CFLAGS))
$(B)/version.h: FORCE
	$(call keep,#define BUSTAP_VERSION "$(VERSION)$(if $(COMMIT),+g$(COMMIT))")
FORCE:

-include $(wildcard $(foreach d,$(LAYERS) tests/*,$(B)/$(d)/*.d))

# ---- test programs: everything but cli/, and one file of tests/ -------------------------------

$(B)/tests/%.o: EXTRA_CFLAGS := $(TEST_CFLAGS)

$(UNIT) $(PROP) $(MUTATE) $(BENCH) $(ASK): %: %.o $(TESTLIB) $(LIBOBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(if $(LTO),-fno-lto) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) $(TEST_LIBS)

$(LOAD): $(addsuffix .o,$(call programs,lab))
	$(call say,LD,$@)
	$(Q)$(CC) $(if $(LTO),-fno-lto) $(ALL_LDFLAGS) -o $@ $^ $(TEST_LIBS)

$(REPLAYS): $(B)/tests/fuzz/replay_%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/replay.o $(LIBOBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(FUZZERS): %: %.o $(LIBOBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS)

# ---- tests ------------------------------------------------------------------------------------

.PHONY: check layers unit sanitized prop golden books pytest lab-tools live pcaps mutate fuzz-replay
CHECKS := layers unit sanitized pytest
check:  ## everything a commit must pass (see CONTRIBUTING.md)
	@+for step in $(CHECKS); do \
	    echo "== $$step"; \
	    $(MAKE) $$step || { echo "check: '$$step' failed; alone: make $$step" >&2; exit 1; }; \
	done

layers:  ## who includes whom, banned functions, no clock and no I/O where they do not belong
	@sh tests/layers.sh $(LAYERS)

unit: $(UNIT) $(if $(SAN),,$(PROP))  ## tests/unit/*.c, and tests/prop/*.c (cmocka)
	@sh tests/run.sh $^

golden: all  ## reports equal to the stored ones
	$(call pytest,-k golden)
books: all  ## message counts equal to what the servers themselves counted
	$(call pytest,-k books)
prop: all $(PROP)  ## properties, as: any cutting of the same bytes gives the same events
	@sh tests/run.sh $(PROP)
	$(call pytest,-k prop)
pytest: all $(ASK) $(LOAD)  ## all python tests
	$(call pytest,)

lab-tools: $(LOAD)  ## makes load on the clusters of tests/lab
# A cluster mostly waits: several stand side by side, on bridges of their own.
LANES ?= $(shell nproc)
live: all $(LOAD)  ## every scenario of tests/lab on every server (root, hours); LIVE=scenario:server, by substrings
	@BUSTAP=$(abspath $(B))/$(NAME) LIVE=$(or $(LIVE),all) \
	 $(PYTHON) -m pytest -q -n $(LANES) tests/live
pcaps: $(LOAD)  ## captures and truth in pcaps/ made anew (root, an hour)
	@$(PYTHON) -m tests.lab corpus

sanitized:  ## unit tests, mutated captures and fuzz corpora under ASan and UBSan
	@+$(MAKE) SAN=$(SANITIZERS) unit mutate fuzz-replay

# These two mean nothing without sanitizers.
ifeq ($(SAN),)
mutate fuzz-replay:
	@+$(MAKE) SAN=$(SANITIZERS) $@
else
mutate: all $(MUTATE)  ## damaged captures, under ASan and UBSan
	@sh tests/run.sh $(MUTATE)
fuzz-replay: $(REPLAYS)  ## tests/fuzz/corpus/* through every fuzz target, without a fuzzer
	@for t in $(REPLAYS); do $$t tests/fuzz/corpus/$${t##*/replay_} || exit 1; done
endif

# ---- fuzzing, speed, a bare system ------------------------------------------------------------

.PHONY: fuzz fuzz-run fuzzers bench bench-live bootstrap-test
FUZZ_MAKE = $(MAKE) CC=$(CLANG) SAN=fuzzer-no-link,$(SANITIZERS)
fuzz:  ## build the libFuzzer targets (clang)
	@+$(FUZZ_MAKE) fuzzers
fuzz-run:  ## fuzz each target for FUZZ_SECONDS (60); finds go to build/fuzz/
	@+$(FUZZ_MAKE) fuzz-run-built
fuzzers: $(FUZZERS)
fuzz-run-built: $(FUZZERS)
	@failed=0; for t in $(FUZZERS); do \
	    name=$${t##*/fuzz_}; seeds=tests/fuzz/corpus/$$name; dict=tests/fuzz/$$name.dict; \
	    mkdir -p $(O)/fuzz/$$name; echo "== $$name"; \
	    $$t -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1024 -verbosity=0 \
	        -print_final_stats=1 -artifact_prefix=$(O)/fuzz/$$name- \
	        $$([ -f $$dict ] && echo -dict=$$dict) $(O)/fuzz/$$name $$([ -d $$seeds ] && echo $$seeds) || failed=1; \
	done; exit $$failed

bench: all $(BENCH)  ## speed and memory against the limits of tests/bench/
	@for t in $(filter-out tests/bench/live%.py,$(wildcard tests/bench/*.py tests/bench/*.sh)); do \
	    case $$t in *.py) set -- $(PYTHON);; *) set -- sh;; esac; \
	    BUSTAP=$(abspath $(B))/$(NAME) BENCH=$(abspath $(B))/tests/bench "$$@" $$t || exit 1; \
	done
bench-live: all $(BENCH)  ## what a capture costs the host, beside tcpdump and others (root)
	@for t in tests/bench/live*.py; do \
	    BUSTAP=$(abspath $(B))/$(NAME) BENCH=$(abspath $(B))/tests/bench $(PYTHON) $$t || failed=1; \
	done; exit $${failed:-0}

bootstrap-test:  ## ./bootstrap on a bare Debian 12, in a chroot (root, debootstrap)
	@sh tests/bare.sh $(O)/bare

# ---- for developers ---------------------------------------------------------------------------

.PHONY: compile_commands.json format format-check tidy deps
compile_commands.json:  ## build/compile_commands.json, for clangd
	@mkdir -p $(O); { sep='['; for f in $(filter %.c,$(C_FILES)); do \
	    printf '%s\n{"directory": "%s", "file": "%s", "command": "%s"}' "$$sep" '$(CURDIR)' "$$f" \
	        '$(subst ",\",$(CC) $(ALL_CFLAGS) $(TEST_CFLAGS)) -c '"$$f"; sep=','; \
	done; printf '\n]\n'; } > $(O)/$@

format:  ## clang-format every C file in place
	$(Q)$(CLANG_FORMAT) -i $(C_FILES)
format-check:  ## say which lines clang-format would change
	$(Q)$(CLANG_FORMAT) --dry-run --Werror $(C_FILES)

tidy: $(SRC:%.c=$(B)/tidy/%)  ## clang-tidy, by .clang-tidy
$(B)/tidy/%: %.c .clang-tidy $(filter %.h,$(C_FILES)) $(wildcard */*.def) | $(B)/version.h
	$(call say,TIDY,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG_TIDY) --quiet --warnings-as-errors='*' $< -- $(ALL_CFLAGS) 2>$@.err || { cat $@.err; exit 1; }
	@touch $@

deps:  ## the Debian packages needed, and those that are missing
	@./bootstrap deps

# ---- install ----------------------------------------------------------------------------------

.PHONY: install uninstall clean help
UNIT_DIR := $(DESTDIR)$(PREFIX)/lib/systemd/system
install: all $(O)/$(NAME).service  ## into DESTDIR PREFIX (/usr/local), with a systemd unit that is not enabled
	install -Dm755 $(B)/$(NAME) $(DESTDIR)$(PREFIX)/bin/$(NAME)
	install -Dm644 $(O)/$(NAME).service $(UNIT_DIR)/$(NAME).service
uninstall:  ## take it away again
	rm -f $(DESTDIR)$(PREFIX)/bin/$(NAME) $(UNIT_DIR)/$(NAME).service
$(O)/$(NAME).service: dist/$(NAME).service.in FORCE
	@mkdir -p $(@D)
	$(Q)sed 's,@BINDIR@,$(PREFIX)/bin,' $< > $@
clean:  ## drop all products
	$(Q)rm -rf $(O)
help:  ## this list
	@sed -n 's/^\([a-z_.-]*\):.*  ## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 26
	@echo; sed -n 's/^#  //p' $(firstword $(MAKEFILE_LIST)) | sed 's/ *[\\/]  .*//'
