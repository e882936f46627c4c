VERSION ?= $(shell git describe --tags --always --dirty --abbrev=12 2>/dev/null || echo dev)
LINT := go tool -modfile=e2e/tools/lint/go.mod

# One way to build for everything, so that tests and the release share the build cache.
export CGO_ENABLED := 0
export GOFLAGS := -trimpath -buildvcs=false

# Servers are started by these tests: a cached result says nothing, and more than two packages at a time starve each other.
TEST := go test -count=1 -p 2

# What tests count and measure, printed at the end, because go test shows nothing of what passes.
REPORT := $(CURDIR)/.cache/report
define run
	@mkdir -p .cache && rm -f $(REPORT)
	LIFEBOAT_TEST_REPORT=$(REPORT) $(1); status=$$?; test ! -e $(REPORT) || { echo "== counted and measured"; cat $(REPORT); }; exit $$status
endef

.PHONY: demo build test test-node test-long lint vet layout bench tools debian chromium

# The main job from end to end, with nothing installed: a cluster backed up, destroyed, brought back and compared.
demo: build
	bin/lifeboat demo

build:
	go build -ldflags '-s -w -X main.version=$(VERSION)' -o bin/lifeboat ./cmd/lifeboat

# The container image, without Docker (docs/image.md). One commit gives the same bytes wherever it is built, so one Go builds it, at the commit's time.
IMAGE ?= ghcr.io/lifeboat-dr/lifeboat
PLATFORMS ?= linux/amd64,linux/arm64
DIST ?= dist
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null)
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null)
.PHONY: image
image:
	GOTOOLCHAIN=$$(sed -n 's/^toolchain //p' build/image/go.mod) go run -C build/image . -out $(abspath $(DIST)) -name $(IMAGE) -version $(VERSION) \
		-revision "$(REVISION)" -created "$(SOURCE_DATE_EPOCH)" -platforms $(PLATFORMS)

# The chart as one file, which installs the image that `make image` calls by the same VERSION. A chart's own version has to be a semantic one.
CHART_VERSION ?= $(shell echo '$(VERSION)' | grep -Ex 'v?[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?' | sed 's/^v//' | grep . || echo '0.0.0-g$(VERSION)')
HELM ?= $$(go run ./e2e/tools/build helm | sed 's,^[^/]*,,')
.PHONY: chart
chart:
	"$(HELM)" package charts/lifeboat --version $(CHART_VERSION) --app-version $(VERSION) --destination $(abspath $(DIST))

# Everything a change must pass.
test: lint tools
	$(call run,$(TEST) -timeout 30m ./...)

# What needs Debian's packages or root. Its tests are called TestNode… and have the build tag node.
test-node: tools debian chromium
	$(call run,$(TEST) -timeout 30m -tags node -run '^TestNode' ./...)

# The same tests as test, with the full counts of the suites that kill, flip and race.
test-long: tools
	$(call run,LIFEBOAT_TEST_LONG=1 $(TEST) -timeout 75m ./...)

lint: vet layout
	$(LINT) staticcheck -tags node ./...
	cd build/image && go tool -modfile=$(CURDIR)/e2e/tools/lint/go.mod staticcheck ./...
	@badly=$$(git ls-files -z '*.go' | xargs -0 $(LINT) gofumpt -l) && test -z "$$badly" || { echo "gofumpt would change: $$badly"; exit 1; }

vet:
	go vet -tags node ./...
	go -C build/image vet ./...

# The import table, and what may stand nowhere in the source.
layout:
	$(TEST) ./e2e/layout

bench: tools debian
	go run ./e2e/bench

# The servers and stock tools that the tests run, built into .cache before any test waits for one.
tools:
	go run ./e2e/tools/build

# Apart from them, because it takes minutes to build and only test-node runs it.
.PHONY: kube
test-node: kube
kube:
	go run ./e2e/tools/build kube

# A shell beside a real cluster of one node, which ends with it. Needs root.
.PHONY: node
node: kube debian
	@go run ./e2e/node

debian:
	e2e/tools/debian.sh

# The browser that tests look at pages with.
chromium:
	e2e/tools/chromium.sh
