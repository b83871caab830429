# make            build the modules for $(LUA)
# make test       everything that must pass     make check   everything that must be tidy
# make demo       a real token, in two minutes  make help    the rest

LUA     ?= lua5.4
CC      ?= cc
PKG_CONFIG ?= pkg-config
CFLAGS  ?= -O2 -g
PREFIX  ?= /usr/local
LUAS    := $(shell tools/luas.sh)

$(if $(filter $(LUA),$(LUAS)),,$(error LUA=$(LUA) is not one of $(LUAS); where it is installed \
  with its headers also: $(filter-out $(LUAS),$(shell sed -n 's/^\(lua[^ ]*\).*/\1/p' luas.list))))

LUA_VERSION := $(if $(filter luajit,$(LUA)),5.1,$(LUA:lua%=%))
LUA_PC      := $(if $(filter luajit,$(LUA)),luajit,$(LUA))
LUA_CFLAGS   = $(if $(LUA_INCDIR),-I$(LUA_INCDIR),$(shell $(PKG_CONFIG) --cflags $(LUA_PC)))
LUA_LIBS     = $(shell $(PKG_CONFIG) --libs $(LUA_PC))
BUILD       := build/$(LUA)
PLAIN       := $(dir $(BUILD))core# what has no Lua in it, for all Luas

WARNINGS  := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
TC_CFLAGS := -std=gnu11 -fPIC -fvisibility=hidden -D_FILE_OFFSET_BITS=64 -Isrc $(WARNINGS) $(WERROR)

# CURL_DIR=/opt/curl and the like name libraries that are elsewhere; pkg-config knows of the others.
DIRS        := $(filter-out /usr,$(CURL_DIR) $(HIREDIS_DIR) $(MEMCACHED_DIR) $(MICROHTTPD_DIR) $(OPENSSL_DIR) $(QRENCODE_DIR) $(ZLIB_DIR))
PACKAGES    := libcurl libmicrohttpd libcrypto libssl hiredis libmemcached zlib libqrencode
LIB_CFLAGS  := $(DIRS:%=-isystem %/include) $(patsubst -I%,-isystem %,$(filter-out -I/usr/include/%, \
                 $(shell for package in $(PACKAGES); do $(PKG_CONFIG) --cflags-only-I $$package; done 2>/dev/null)))
LIB_LDFLAGS := $(foreach dir,$(DIRS),-L$(dir)/lib -Wl,-rpath,$(dir)/lib) \
               $(shell for package in $(PACKAGES); do $(PKG_CONFIG) --libs-only-L $$package; done 2>/dev/null)
TC_CFLAGS   += $(LIB_CFLAGS)

# make V=1 shows whole commands
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $@; )

# A module stays mapped after lua_close: Lua 5.1 unloads it before the last finalizers have run,
# libcurl's resolver threads may outlive the state, and some libcs go on calling fork handlers.
# macOS' linker has no word for that, and must be told that Lua's functions are the program's.
, := ,
GNU_LD := $(findstring GNU,$(shell $(CC) -Wl,--version 2>/dev/null))
MODULE := -shared $(if $(GNU_LD),-Wl$(,)-z$(,)nodelete,-Wl$(,)-undefined$(,)dynamic_lookup)

# One shared object per external library: only who uses a library needs it, and WITH_REDIS=0 and the
# like build none for it.
PARTS   := HTTP REDIRECT CRYPTO REDIS MEMCACHED ZLIB QRCODE SECRET_SERVICE
part    = $(if $(filter 0,$(WITH_$(1))),,$(2))
MODULES := _core _json _browser $(call part,HTTP,_http) $(call part,REDIRECT,_redirect) \
           $(call part,CRYPTO,_crypto) $(call part,REDIS,_redis) $(call part,MEMCACHED,_memcached) \
           $(call part,ZLIB,_zlib)

# only where it can be built: without it a login by device shows no QR code
HASH := \#
has_header = $(shell echo '$(HASH)include <$(1)>' | $(CC) $(CPPFLAGS) $(LIB_CFLAGS) -E - >/dev/null 2>&1 && echo yes)
MODULES += $(if $(call has_header,qrencode.h),$(call part,QRCODE,_qrcode))

# likewise: without it there is no store.secret_service
LIBSECRET := $(subst -I,-isystem ,$(shell $(PKG_CONFIG) --cflags libsecret-1 2>/dev/null))
MODULES += $(if $(LIBSECRET),$(call part,SECRET_SERVICE,_secret_service))

CORE := $(wildcard src/core/*.c)
JSON := $(wildcard src/core/json_*.c)
SHARED_LUA := src/lua/largument.c src/lua/lbuf.c src/lua/lclass.c src/lua/lerror.c src/core/buf.c src/core/error.c \
              src/core/secret.c src/core/utf8.c

FILE := $(wildcard src/backend/file*.c) src/backend/directory.c src/backend/lockfile.c src/backend/mount.c src/backend/owner.c \
        src/backend/place.c src/backend/symlink.c src/backend/tempfile.c src/lua/lfile.c

SOURCES__core := $(filter-out $(JSON),$(CORE)) $(FILE) src/lua/lcore.c src/lua/latclose.c src/lua/lauthorization.c src/lua/lclient.c \
                 src/lua/lengine.c src/lua/lgarbage.c src/lua/lint64.c src/lua/lmemory.c \
                 src/lua/lprocess.c src/lua/ltoken.c
SOURCES__json := $(JSON) src/lua/lint64.c src/lua/ljson.c
SOURCES__http := $(wildcard src/backend/http*.c) src/backend/process.c src/backend/sigpipe.c src/core/url.c \
                 src/lua/lhttp.c
LIBS__http    := -lcurl

SOURCES__redirect := src/backend/redirect.c src/backend/redirect_pages.c src/backend/redirect_query.c \
                     src/backend/loopback.c src/backend/loopback_peer.c src/backend/owner.c \
                     src/backend/sigpipe.c src/core/form.c src/lua/lredirect.c
LIBS__redirect    := -lmicrohttpd
SOURCES__browser  := src/backend/browser.c src/lua/lbrowser.c
SOURCES__crypto   := src/backend/crypto.c src/backend/jws.c src/backend/private_key.c \
                     src/core/base64.c src/lua/lcrypto.c src/lua/lprivate_key.c
LIBS__crypto      := -lcrypto
SOURCES__zlib     := src/backend/deflate.c src/core/base64.c src/lua/lzlib.c
LIBS__zlib        := -lz
SOURCES__qrcode   := src/lua/lqrcode.c
LIBS__qrcode      := -lqrencode

SOURCES__secret_service := $(wildcard src/backend/secret_*.c) src/backend/process.c src/lua/lsecret_service.c
LIBS__secret_service     = $(shell $(PKG_CONFIG) --libs libsecret-1)

SOURCES__redis := $(wildcard src/backend/redis*.c) src/backend/stream.c src/backend/apart.c src/backend/dial.c src/backend/process.c src/backend/tls.c src/backend/sigpipe.c \
                  src/core/redact.c src/lua/lint64.c src/lua/lredis.c src/lua/lrepeated.c
LIBS__redis    := -lhiredis -lssl -lcrypto -pthread

SOURCES__memcached := $(wildcard src/backend/memcached*.c) src/backend/apart.c src/backend/process.c \
                      src/lua/lmemcached.c src/lua/lrepeated.c
LIBS__memcached    := -lmemcached -pthread

object  = $(if $(filter src/lua/%,$(1)),$(BUILD),$(PLAIN))/$(1:.c=.o)
objects = $(foreach source,$(sort $(SOURCES_$(1)) $(SHARED_LUA)),$(call object,$(source)))

.PHONY: all
all: $(MODULES:%=$(BUILD)/tokencache/%.so)

define link_module
$(BUILD)/tokencache/$(1).so: $$(call objects,$(1))
	@mkdir -p $$(@D)
	$$(call say,ld)$$(CC) $$(CFLAGS) $$(MODULE) $$(LDFLAGS) $$(LIB_LDFLAGS) -o $$@ $$^ $$(LIBS_$(1)) $$(LIBS)
endef
$(foreach name,$(MODULES),$(eval $(call link_module,$(name))))

$(PLAIN)/src/backend/secret_%.o: TC_CFLAGS += $(LIBSECRET)

define compile
	@mkdir -p $(@D)
	$(call say,cc)$(CC) $(TC_CFLAGS) $(CPPFLAGS) $(CFLAGS) $(if $(filter src/lua/%,$<),$(LUA_CFLAGS)) -MMD -MP -c -o $@ $<
endef
$(PLAIN)/src/%.o: src/%.c
	$(compile)
$(BUILD)/src/lua/%.o: src/lua/%.c
	$(compile)

-include $(shell find $(BUILD) $(PLAIN) -name '*.d' 2>/dev/null)

# --- everything below is for working on tokencache ---------------------------------------------

# Plain C, for what has no Lua in it: BUILD=build/core
CORE_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/core/test_*.c))
PLAIN_C    := $(sort $(CORE) $(patsubst %,src/backend/%.c,process redirect_query sigpipe) \
              $(filter src/backend/%,$(foreach module,$(MODULES),$(SOURCES_$(module)))))

.PHONY: plain core-tests
plain: $(BUILD)/libtokencache.a
core-tests: $(CORE_TESTS)

$(BUILD)/libtokencache.a: $(PLAIN_C:%.c=$(PLAIN)/%.o)
	@mkdir -p $(@D) && rm -f $@
	$(call say,ar)$(AR) rcs $@ $^

$(BUILD)/tests/%.o: tests/%.c
	$(compile)
$(BUILD)/tests/core/%: $(BUILD)/tests/core/%.o $(BUILD)/libtokencache.a
	$(call say,ld)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(if $(filter _http,$(MODULES)),$(if $(GNU_LD),-Wl$(,)--as-needed) -lcurl)
$(BUILD)/tests/core/test_no_memory: LDFLAGS += -Wl,--wrap=malloc

# The allocation-failure run embeds Lua, one program for each.
.PHONY: alloc
alloc: all $(BUILD)/tests/alloc/alloc $(BUILD)/support/unix.so $(BUILD)/support/slow.so

# What specs need and Lua lacks.
$(BUILD)/tests/support/%.o: TC_CFLAGS += $(LUA_CFLAGS)
$(BUILD)/support/%.so: $(BUILD)/tests/support/%.o
	@mkdir -p $(@D)
	$(call say,ld)$(CC) $(CFLAGS) $(MODULE) $(LDFLAGS) -o $@ $^

# visible, or the modules would go on using libc's malloc
$(BUILD)/tests/alloc/%.o: TC_CFLAGS += $(LUA_CFLAGS) -fvisibility=default
$(BUILD)/tests/alloc/alloc: $(patsubst %,$(BUILD)/tests/alloc/%.o,alloc counted modules places)
	$(call say,ld)$(CC) $(CFLAGS) -rdynamic $(LDFLAGS) -o $@ $^ $(LUA_LIBS) -ldl

SANITIZE := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
SUB      := +@$(MAKE) -s

ASAN     := PLAIN=build/asan-core CFLAGS='$(SANITIZE)'

.PHONY: build-plain build-core build-ports build-asan-plain build-asan-core build-asan $(LUAS:%=build-%) build-all
build-plain:
	$(SUB) BUILD=build/core plain
build-core: build-plain
	$(SUB) BUILD=build/core core-tests
build-asan-plain:
	$(SUB) BUILD=build/asan-core $(ASAN) plain
build-asan-core: build-asan-plain
	$(SUB) BUILD=build/asan-core $(ASAN) core-tests
build-asan: build-asan-plain
	$(SUB) LUA=lua5.4 BUILD=build/asan-lua5.4 $(ASAN) alloc
	$(SUB) LUA=luajit BUILD=build/asan-luajit $(ASAN) all

$(LUAS:%=build-%): build-%: build-plain
	$(SUB) LUA=$* alloc

# What tools/ports.sh finds compilers for, which have none of the libraries.
build-ports:
	+@for port in $$(tools/ports.sh); do \
	  tools/ports.sh $$port sh -c '$(MAKE) -s BUILD=build/core-$$1 PLAIN=build/$$1-plain CC="$$CC" \
	    $(PARTS:%=WITH_%=0) core-tests' build $$port || exit; \
	done

build-all: build-ports build-core build-asan-core build-asan build-fuzz $(LUAS:%=build-%)

JOBS := $(shell nproc 2>/dev/null || echo 2)

# SUITES="lua5.4 core" runs some of them; tests/run.sh tells the names.
.PHONY: test
test:
	@tools/dependencies.sh test
	$(SUB) -j$(JOBS) build-all
	@tests/run.sh $(SUITES)

.PHONY: check
check:
	@tools/dependencies.sh check
	@rm -rf build/check && mkdir -p build/check
	@tests/suite.sh build/check check tools/check.sh
	@tools/sum.sh build/check

.PHONY: demo
demo:
	@tools/dependencies.sh demo
	$(SUB) -j$(JOBS) LUA=lua5.4 all
	@tools/demo.sh

# An authorization server to try it with, at PORT=9000, until Ctrl-C.
.PHONY: provider
provider:
	@tools/dependencies.sh provider
	@tools/provider.sh

# The manual as a site, in build/site.
.PHONY: docs
docs:
	@tools/dependencies.sh docs
	@tools/site.sh

# What tokencache is compared with. FIGURES="memory file" measures some of them.
FLOORS := $(patsubst bench/%.c,build/bench/%,$(filter-out %/call.c,$(wildcard bench/*/*.c)))

build/bench/%: bench/%.c bench/contestant.h
	@mkdir -p $(@D)
	$(call say,cc)$(CC) -std=gnu11 $(WARNINGS) $(CFLAGS) -o $@ $< $(LIBS_$(*D))
$(FLOORS): LIBS_fetch := -lcurl
$(FLOORS): LIBS_accounts_redis := -lhiredis
$(FLOORS): LIBS_redis := -lhiredis
$(FLOORS): LIBS_signing := -lcrypto
$(FLOORS): LIBS_sessions := -lcrypto -lz
$(FLOORS): LIBS_memcached := -lmemcached

build/bench/$(LUA)/call.so: bench/memory/call.c
	@mkdir -p $(@D)
	$(call say,ld)$(CC) $(TC_CFLAGS) $(CFLAGS) $(LUA_CFLAGS) $(MODULE) -o $@ $<

.PHONY: bench
bench:
	@tools/dependencies.sh bench
	$(SUB) -s -j$(JOBS) LUA=lua5.4 all build/bench/lua5.4/call.so \
	  build/lua5.4/support/unix.so build/lua5.4/support/slow.so
	$(SUB) -s -j$(JOBS) LUA=luajit all build/bench/luajit/call.so
	$(SUB) -s -j$(JOBS) $(FLOORS)
	@bench/run.sh $(FIGURES)

# FUZZ_SECONDS for each target; new inputs are kept in build/fuzz/corpus.
FUZZERS      := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SECONDS ?= 600

.PHONY: build-fuzz fuzz
build-fuzz: $(FUZZERS)
fuzz:
	@tools/dependencies.sh fuzz
	$(SUB) -j$(JOBS) build-fuzz
	@tools/fuzz.sh $(FUZZ_SECONDS) $(FUZZERS)

FUZZ_CC := clang -g -O1 -Isrc -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined

build/fuzz/%.o: %.c $(wildcard src/core/*.h src/backend/redis*.h)
	@mkdir -p $(@D)
	$(call say,clang)$(FUZZ_CC) $(LUA_CFLAGS) -c -o $@ $<
build/fuzz/%: tests/fuzz/%.c tests/fuzz/fuzz.h $(CORE:%.c=build/fuzz/%.o)
	$(call say,clang)$(FUZZ_CC) -fsanitize=fuzzer -o $@ $(filter-out %.h,$^) $(FUZZ_LIBS)
build/fuzz/fuzz_jws: $(patsubst %,build/fuzz/src/backend/%.o,jws crypto)
build/fuzz/fuzz_jws: FUZZ_LIBS := -lcrypto
build/fuzz/fuzz_redis: $(patsubst %,build/fuzz/src/backend/%.o,redis_talk redis_route redis_cluster redis_codec redis_error)
build/fuzz/fuzz_redis: FUZZ_LIBS := -lhiredis

# What is written in Lua: the modules as they are, in a Lua that is linked in.
LUA_FUZZERS := $(patsubst %,build/fuzz/fuzz_%,discovery id_token session)
FUZZ_LUA    := $(SOURCES__core) $(SOURCES__json) $(SOURCES__crypto) $(SOURCES__zlib) $(SHARED_LUA) tests/fuzz/lua_target.c
$(LUA_FUZZERS): $(patsubst %.c,build/fuzz/%.o,$(sort $(filter-out $(CORE),$(FUZZ_LUA))))
$(LUA_FUZZERS): FUZZ_LIBS = $(LUA_LIBS) -lcrypto -lz

# ROTATIONS of a login in the hands of processes that die (ROTATION_SEED repeats a run),
# STAMPEDES of 64 processes over one expired login in each cache,
# SOAK_SCHEDULES of the simulator,
# LOAD_SECONDS of load on nginx, three times: tokens that expire, reloads, a worker killed; the same
# with users logged in, and with a provider that is away;
# LOAD_REQUESTS to one worker, whose memory must not grow;
# ACCOUNT_CALLS to 10,000 logins with renewals and debts, and
# CHAOS_SECONDS of programs that are killed, stopped, and whose clock jumps, over all stores;
# FAILOVERS of a Redis by sentinels, 20 seconds each, with `replicas = 1` and without; and
# SOAK_MINUTES of flows, saves and kills; memory and descriptors must not grow.
SOAK_MINUTES  ?= 10
CHAOS_SECONDS ?= 300
ROTATIONS     ?= 1000
STAMPEDES     ?= 20
LOAD_SECONDS  ?= 60
LOAD_REQUESTS ?= 1000000
ACCOUNT_CALLS ?= 1000000
FAILOVERS     ?= 30

.PHONY: soak
soak:
	@tools/dependencies.sh test
	$(SUB) -j$(JOBS) build-lua5.4 build-luajit build-asan
	@LUA_PATH='lua/?.lua;lua/?/init.lua;tests/?.lua;;' LUA_CPATH='build/lua5.4/?.so;;' \
	  lua5.4 tests/rotation.lua $(ROTATIONS) $(ROTATION_SEED)
	@LUA_PATH='lua/?.lua;lua/?/init.lua;tests/?.lua;;' LUA_CPATH='build/luajit/?.so;;' \
	  luajit tests/simulate.lua $(SOAK_SCHEDULES) $(SEED)
	@LUA_PATH='lua/?.lua;lua/?/init.lua;tests/?.lua;;' LUA_CPATH='build/lua5.4/?.so;;' \
	  lua5.4 tests/stampede.lua $(STAMPEDES)
	@LOAD_SECONDS=$(LOAD_SECONDS) LOAD_REQUESTS=$(LOAD_REQUESTS) \
	  busted --run=nginx tests/nginx/load_spec.lua tests/nginx/login_load_spec.lua \
	    tests/nginx/memory_spec.lua
	@LUA_PATH='lua/?.lua;lua/?/init.lua;tests/?.lua;;' LUA_CPATH='build/lua5.4/?.so;;' \
	  lua5.4 tests/chaos.lua $(CHAOS_SECONDS) $(CHAOS_SEED)
	@LUA_PATH='lua/?.lua;lua/?/init.lua;tests/?.lua;;' LUA_CPATH='build/lua5.4/?.so;;' \
	  lua5.4 tests/soak_accounts.lua $(ACCOUNT_CALLS)
	@LUA_PATH='lua/?.lua;lua/?/init.lua;tests/?.lua;;' LUA_CPATH='build/lua5.4/?.so;;' \
	  lua5.4 tests/failovers.lua $(FAILOVERS)
	@LUA_PATH='lua/?.lua;lua/?/init.lua;tests/?.lua;;' LUA_CPATH='build/lua5.4/?.so;;' \
	  lua5.4 tests/soak.lua $(SOAK_MINUTES)

# SCHEDULES of virtual processes over a virtual store and provider, drawn from SEED and the numbers
# after it; without one, another each time. A single schedule prints its history.
SCHEDULES ?= 20000
SOAK_SCHEDULES ?= 5000000

.PHONY: simulate
simulate:
	$(SUB) -j$(JOBS) LUA=luajit all
	@LUA_PATH='lua/?.lua;lua/?/init.lua;tests/?.lua;;' LUA_CPATH='build/luajit/?.so;;' \
	  luajit tests/simulate.lua $(SCHEDULES) $(SEED)

# What docs/scale.md says, tried with so many accounts, for so long.
ACCOUNTS      ?= 1000000
SCALE_SECONDS ?= 300

.PHONY: scale
scale:
	@tools/dependencies.sh test
	$(SUB) -j$(JOBS) LUA=lua5.4 all
	@LUA_PATH='lua/?.lua;lua/?/init.lua;tests/?.lua;;' LUA_CPATH='build/lua5.4/?.so;;' \
	  lua5.4 tests/scale.lua $(ACCOUNTS) $(SCALE_SECONDS)

LUADIR ?= $(PREFIX)/share/lua/$(LUA_VERSION)
LIBDIR ?= $(PREFIX)/lib/lua/$(LUA_VERSION)
BINDIR ?= $(PREFIX)/bin
DATADIR ?= $(PREFIX)/share
LUA_COMMAND ?= $(LUA)# luarocks has its own
UNITS  := $(wildcard systemd/*)

# The command, with a line that says where its modules are; what it says of itself; and its units.
.PHONY: install-command
install-command: all
	install -d '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(DATADIR)/systemd/user'
	sed -e "1s|.*|#!$$(command -v '$(LUA_COMMAND)' || echo /usr/bin/env $(LUA))|" -e '2s|.*|package.path, package.cpath = \
	  "$(LUADIR)/?.lua;$(LUADIR)/?/init.lua;" .. package.path, "$(LIBDIR)/?.so;" .. package.cpath|' \
	  bin/tokencache >'$(DESTDIR)$(BINDIR)/tokencache'
	chmod 755 '$(DESTDIR)$(BINDIR)/tokencache'
	for unit in $(UNITS); do sed 's|/usr/local/bin|$(BINDIR)|' "$$unit" \
	  >'$(DESTDIR)$(DATADIR)'/systemd/user/"$${unit#*/}" || exit 1; done
	LUA='$(LUA_COMMAND)' BUILD='$(BUILD)' tools/install_texts.sh '$(DESTDIR)$(DATADIR)'

# Of several Luas with one BINDIR the first has the command, as long as it is installed.
COMMAND = $(DESTDIR)$(BINDIR)/tokencache
IS_OF_ANOTHER = [ -e '$(COMMAND)' ] && ! grep -qF '"$(LUADIR)/?.lua;' '$(COMMAND)' && \
	echo "$(COMMAND) stays that of $$(sed -n '1s|.*[/ ]||p' '$(COMMAND)')"

# Paths may have blanks in them.
.PHONY: install uninstall
install: all
	@tools/install.sh '$(DESTDIR)$(LUADIR)' 644 lua $$(cd lua && find tokencache -name '*.lua')
	@tools/install.sh '$(DESTDIR)$(LIBDIR)' 755 '$(BUILD)' $(MODULES:%=tokencache/%.so)
	@if $(IS_OF_ANOTHER); then echo 'make install-command makes it that of $(LUA)'; \
	  else $(MAKE) --no-print-directory install-command; fi
uninstall:
	@tools/install.sh '$(DESTDIR)$(LUADIR)' remove lua $$(cd lua && find tokencache -name '*.lua')
	@tools/install.sh '$(DESTDIR)$(LIBDIR)' remove '$(BUILD)' $(MODULES:%=tokencache/%.so)
	@$(IS_OF_ANOTHER) || { rm -f '$(COMMAND)' $(UNITS:systemd/%='$(DESTDIR)$(DATADIR)/systemd/user/%'); \
	  tools/install_texts.sh '$(DESTDIR)$(DATADIR)' remove; }

.PHONY: clean
clean:
	rm -rf build

.PHONY: help
help:
	@echo 'make                   build the modules for LUA=$(LUA) into $(BUILD)'
	@echo 'make install           copy them to PREFIX=$(PREFIX) (and DESTDIR), for that Lua'
	@echo '                       without _redis where WITH_REDIS=0; of these parts:'
	@echo '                       $(PARTS)'
	@echo 'make uninstall         remove them from there'
	@echo 'make demo              fetch a token, cache it, renew it; log in'
	@echo 'make provider          run an authorization server to try it with, at PORT=9000'
	@echo 'make test              all suites; SUITES="core lua5.4" for some'
	@echo 'make check             formatting, linters, warnings, rules of the house'
	@echo 'make docs              the manual as a site, in build/site'
	@echo 'make simulate          SCHEDULES=20000 of virtual processes; SCHEDULES=1 SEED=n replays one'
	@echo 'make bench             medians and ratios; FIGURES="memory save" for some'
	@echo 'make fuzz              FUZZ_SECONDS=600 for each fuzz target'
	@echo 'make soak              SOAK_MINUTES=10 of everything at once'
	@echo 'make clean             remove build/'
	@echo 'LUA is one of $(LUAS).  CC, CFLAGS, LDFLAGS, LUA_INCDIR, HIREDIS_DIR are honoured.'
