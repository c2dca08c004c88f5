# make demo    shows the product against the simulator, in a throwaway home
# make test    everything that is tested, with the race detector
# make help    the rest
SHELL := /bin/sh
GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS = -s -w -X github.com/cspctl/cspctl/internal/ipc.Version=$(VERSION)
TOOL = $(GO) tool -modfile=tools/go.mod
TIMEOUT = 14m
# Tests that run beside others wait most of the time, for other programs: more of them
# than there are cores.
PARALLEL = 4
# The race detector needs a C compiler on most systems. It makes the arithmetic of scrypt
# twice as slow, which shares nothing: tests of the file store would take minutes.
RACE := $(shell command -v $$($(GO) env CC) >/dev/null 2>&1 && echo -race -gcflags=golang.org/x/crypto/scrypt=-race=false)
DEBIAN = gnome-keyring libsecret-tools dbus curl bsdutils zsh fish oidc-agent-cli openssh-client libwrap0 tmux dunst xvfb xdotool libnotify-bin imagemagick fonts-dejavu-core adwaita-icon-theme systemd-container libpam-systemd dbus-user-session bash-completion lintian rpm rpmlint cpio man-db groff shellcheck wine wine64 gcc-mingw-w64-x86-64 nodejs python3-requests ansible-core

.PHONY: build demo test test-long bench lint vuln vet packages release deps clean help

build: ## the three commands, into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

demo: build ## a real exchanged token, from nothing
	packaging/demo.sh bin

test: ## the whole suite; installs what it needs only as root
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then $(MAKE) --no-print-directory deps; fi
	@$(MAKE) --no-print-directory vet
	CGO_ENABLED=$(if $(RACE),1,0) $(TOOL) gotestsum --format pkgname-and-test-fails -- $(RACE) -parallel $(PARALLEL) -timeout $(TIMEOUT) ./...
	@if [ -z "$(RACE)" ]; then echo "no C compiler: the race detector was off (Debian: apt-get install gcc)"; fi
	@if [ "$$(id -u)" != 0 ]; then echo "tests listed as skipped name what they need; all at once: sudo make deps"; fi

test-long: export CSPCTL_TEST_LONG = 1
test-long: TIMEOUT = 25m
test-long: test ## and each fuzz target for a minute, and a release made twice
	packaging/fuzz.sh 60s
	packaging/reproduce.sh

bench: build ## ratios against an empty program and against peers
	$(GO) run ./bench -bin bin

lint: ## the linters, walls between packages included
	@$(GO) build -modfile=tools/go.mod -o bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@for os in linux darwin windows; do echo "lint $$os"; GOOS=$$os bin/golangci-lint run ./... || exit 1; done

vuln: ## known vulnerabilities in what is linked; needs the network
	$(TOOL) govulncheck ./...

vet: ## go vet for every system the product is built for
	@for os in linux darwin windows; do echo "vet $$os"; GOOS=$$os CGO_ENABLED=0 $(GO) vet ./... || exit 1; done

packages: ## everything that is published, into dist/: archives, deb, rpm, checksums, ...
	$(GO) run ./packaging/release -out dist

release: ## the same, from a commit alone: twice makes the same bytes
	$(GO) run ./packaging/release -out dist -clean
	@cat dist/SHA256SUMS

deps: ## the Debian packages that tests use; needs root
	@missing=; for p in $(DEBIAN); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then echo "installing$$missing"; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi
# Not installed: the package would start a server, now and at each boot.
	@command -v promtool >/dev/null || { echo "installing /usr/local/bin/promtool (from the Debian package prometheus)"; \
	d=$$(mktemp -d) && (cd $$d && chmod 755 . && apt-get update -qq && apt-get download -qq prometheus >/dev/null 2>&1 && \
	dpkg-deb --fsys-tarfile prometheus_*.deb | tar xO ./usr/bin/promtool >promtool && install -m 755 promtool /usr/local/bin/); rm -rf $$d; }
# Nor this, for the same reason.
	@[ -x /usr/sbin/sshd ] || [ -x /usr/local/sbin/sshd ] || { echo "installing /usr/local/sbin/sshd (from the Debian package openssh-server)"; \
	d=$$(mktemp -d) && (cd $$d && chmod 755 . && apt-get update -qq && apt-get download -qq openssh-server >/dev/null 2>&1 && \
	dpkg-deb --fsys-tarfile openssh-server_*.deb | tar xO ./usr/sbin/sshd >sshd && install -m 755 sshd /usr/local/sbin/); rm -rf $$d; }

clean: ## what the other targets made
	rm -rf bin dist

help: ## this
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)
