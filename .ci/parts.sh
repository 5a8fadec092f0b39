# The parts of .ci/test, a function each, in the order of its table.

# The fuzz targets run for this long each; go test runs their kept corpora anyway.
fuzz_time=${FUZZ_TIME:-5s}
fuzz_targets=(
  audit/event:FuzzParseInput audit/event:FuzzCanonical audit/follow:FuzzSource audit/merkle:FuzzParseProof
  audit/segment:FuzzIndex audit/merkle:FuzzParseCheckpoint mirror/rows:FuzzDecodeTag gossip:FuzzDecodeBatch
)

part_tools() {
  install_packages
  install_go github.com/golangci/golangci-lint/v2/cmd/golangci-lint github.com/golangci/golangci-lint/v2 "$lint_version"
  install_go golang.org/x/vuln/cmd/govulncheck golang.org/x/vuln "$vuln_version"
  install_go golang.org/x/tools/cmd/deadcode golang.org/x/tools "$deadcode_version"
  go version
}

# Formatting and modules are as committed.
part_modules() {
  local unformatted
  unformatted=$(git ls-files -z '*.go' | xargs -0 gofmt -l)
  [ -z "$unformatted" ] || { echo "not as gofmt writes it:" "$unformatted" >&2; return 1; }
  bash -n .ci/test .ci/release .ci/*.sh
  go mod verify
  go mod tidy -diff
}

part_lint() {
  go vet ./...
  "$tools_dir/golangci-lint" run ./...
}

# Advisories: one of a module whose code we call fails the run; .ci/vulnerabilities.py
# has the rules. Where the database cannot be had, that is said and nothing more.
part_vulnerabilities() {
  local database
  if ! (cd "$work" && go mod download "golang.org/x/vulndb@$vulndb_version"); then
    notices+=("no advisories were looked up: golang.org/x/vulndb could not be fetched")
    return 0
  fi
  database=$(go env GOMODCACHE)/golang.org/x/vulndb@$vulndb_version/data/osv
  "$tools_dir/govulncheck" -format json -db="file://$database" ./... >"$work/vulnerabilities.json"
  python3 .ci/vulnerabilities.py "$vulndb_version" <"$work/vulnerabilities.json" | tee "$work/vulnerabilities.txt"
  local line
  while read -r line; do notices+=("$line"); done < <(sed -n 's/^NOTICE: //p' "$work/vulnerabilities.txt")
}

# No function is unreachable, and in the command and the internal packages none is
# there for tests alone.
part_deadcode() {
  local dead
  dead=$("$tools_dir/deadcode" -test ./... && "$tools_dir/deadcode" -filter 'auditmesh/(cmd|internal|gossip)' ./cmd/... ./integration/...)
  [ -z "$dead" ] || { echo "$dead" >&2; return 1; }
}

# The benchmark module's own checks, and every benchmark of every package once.
part_bench() {
  (cd integration/bench && go mod tidy -diff && go vet ./... &&
    "$tools_dir/golangci-lint" run --config ../../.golangci.yml ./... && go test -count=1 -race ./...)
  go test -count=1 -run '^$' -bench . -benchtime 1x ./... >"$work/benchmarks.txt" || { cat "$work/benchmarks.txt"; return 1; }
  grep -c '^Benchmark' "$work/benchmarks.txt"
}

part_fuzz() {
  local target
  for target in "${fuzz_targets[@]}"; do
    go test "./${target%%:*}" -run '^$' -fuzz "^${target##*:}\$" -fuzztime "$fuzz_time" -fuzzminimizetime 100x | tee "$work/fuzz.txt"
    # go test says no more than a warning where no target has that name.
    grep -q 'now fuzzing' "$work/fuzz.txt" || { echo "$target is not there" >&2; return 1; }
  done
}

# Damage at every offset, without the race detector's cost.
part_damage() { go test -count=1 ./audit -run '^TestDamageAtEveryOffset$'; }

# Random schedules of the CRDT.
part_schedules() {
  go test -count=1 ./crdt -run '^(TestSchedules|TestAgainstNaiveModel|TestMergeLaws)$' -rapid.checks="${SCHEDULES:-200000}"
}

part_cross() {
  local platform
  for platform in "${node_platforms[@]}"; do
    echo "$platform ./..."
    cross "$platform" ./...
  done
  for platform in "${portable_platforms[@]}"; do
    echo "$platform ${portable_packages[*]}"
    cross "$platform" "${portable_packages[@]}"
    GOOS=${platform%/*} GOARCH=${platform#*/} CGO_ENABLED=0 go vet "${portable_packages[@]}" # their tests too
  done
  for platform in "${client_platforms[@]}"; do
    echo "$platform ./cmd/auditmesh"
    cross "$platform" ./cmd/auditmesh
  done
  # Of 32 bits the tests are type-checked; not every machine runs them.
  GOOS=linux GOARCH=386 CGO_ENABLED=0 go vet "${portable_packages[@]}"
}

# cross PLATFORM PACKAGE... builds packages.
cross() {
  local os=${1%/*} arch=${1#*/}
  shift
  GOOS=$os GOARCH=$arch CGO_ENABLED=0 go build -o /dev/null "$@"
}

# A release made in two places, the second from nothing, has the same bytes; and it
# knows its commit.
part_reproducible() {
  .ci/release -o "$work/first" linux/amd64
  GOCACHE=$work/cache .ci/release -o "$work/second" linux/amd64
  diff -r "$work/first" "$work/second"
  "$work"/first/auditmesh-*-linux-amd64 version
  "$work"/first/auditmesh-*-linux-amd64 version --json | grep -F "\"commit\": \"$(git rev-parse HEAD)\""
}

# All tests with the race detector. Never cached: the tests of integration build
# programs, whose sources Go does not know to be their inputs.
part_tests() { go test -count=1 -race -timeout 20m ./...; }

# How much of each package the tests reach, its own and those of the packages above
# it, but for the real processes of integration. Without the race detector, beside
# which to count costs four times as much.
part_coverage() {
  local packages
  packages=$(go list ./... | grep -v /integration)
  # shellcheck disable=SC2086 # a word each
  go test -count=1 -timeout 20m -coverpkg=./... -coverprofile="$work/cover" $packages | sed -E 's/\tcoverage: .*//'
  echo
  coverage "$work/cover"
}

# coverage prints the share of statements reached, by package.
coverage() {
  awk 'NR > 1 {
      key = $1; if (!(key in size)) size[key] = $2; if ($3 > 0) hit[key] = 1
    }
    END {
      for (key in size) {
        package = key; sub(/\/[^\/]*$/, "", package); all[package] += size[key]
        if (key in hit) reached[package] += size[key]
      }
      for (package in all) printf "%5.1f%% of %5d statements  %s\n", 100 * reached[package] / all[package], all[package], package
    }' "$1" | sort -k5
}
