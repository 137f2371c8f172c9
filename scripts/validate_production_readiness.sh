#!/usr/bin/env bash
# Validates Procession feature by feature: unit tests, integration tests, kill test, benchmarks. A line per step, PASS or FAIL;
# a feature that is not built yet is listed as NOT BUILT and counts as neither. Exit code 0 when no step failed, 1 when one
# did, 2 for a wrong command line. Needs nothing but `npm ci`, and works from any folder.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1

LOG_TAIL_LINES=40
only=''

usage() {
  cat <<'USAGE'
Usage: scripts/validate_production_readiness.sh [--only NAME] [--help]

  --only NAME   run only the steps whose name holds NAME, e.g. procedural, kill, bench, procedural-unit
  --help        this text

Steps: build, procedural-unit, procedural-integration, procedural-kill, procedural-bench, and for each further
feature (semantic, vector, synapse) its -tests and -bench, then integration.
USAGE
}

while [ $# -gt 0 ]; do
  case $1 in
    --only)
      [ $# -ge 2 ] || { echo 'error: --only needs a name' >&2; exit 2; }
      only=$2
      shift 2
      ;;
    --help | -h) usage; exit 0 ;;
    *) printf 'error: unknown argument %s\n' "$1" >&2; usage >&2; exit 2 ;;
  esac
done

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  green=$'\e[32m' red=$'\e[31m' yellow=$'\e[33m' plain=$'\e[0m'
else
  green='' red='' yellow='' plain=''
fi

log=$(mktemp "${TMPDIR:-/tmp}/procession-validate.XXXXXX")
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM

passed=0
failed=0
skipped=0
missing=()

section() { printf '\n%s\n' "$1"; }

# Whether --only lets a step run.
matched=no
wanted() {
  [[ -z $only || $1 == *"$only"* ]] || return 1
  matched=yes
}

# What a log says of itself, in a few words: counts of vitest, or of the benchmarks' closing line.
summary() {
  sed -E 's/\x1b\[[0-9;]*m//g' "$log" |
    sed -nE -e 's/^ +Tests +(.*)$/\1/p' -e 's/^([0-9]+ passed, [0-9]+ failed)$/\1/p' | tail -n 1
}

# step NAME TITLE COMMAND…: a step that --only may leave out.
step() {
  if wanted "$1"; then run_step "$@"; else skipped=$((skipped + 1)); fi
}

# run_step NAME TITLE COMMAND…: runs a command quietly and says how it went; of a failure, the end of its log.
run_step() {
  local name=$1 title=$2 began=$SECONDS
  shift 2
  printf '  %-24s %-44s ' "$name" "$title"
  if CI=true NO_COLOR=1 "$@" >"$log" 2>&1 </dev/null; then
    passed=$((passed + 1))
    printf '%sPASS%s  %s (%ds)\n' "$green" "$plain" "$(summary)" $((SECONDS - began))
  else
    failed=$((failed + 1))
    printf '%sFAIL%s  %s (%ds)\n' "$red" "$plain" "$(summary)" $((SECONDS - began))
    printf '    the last %d lines of: %s\n' "$LOG_TAIL_LINES" "$*"
    tail -n "$LOG_TAIL_LINES" "$log" | sed 's/^/    | /'
    return 1
  fi
}

not_built() {
  missing+=("$2")
  wanted "$1" || return 0
  printf '  %-24s %-44s %sNOT BUILT%s\n' "$1" "$2" "$yellow" "$plain"
}

vitest() { npx --no-install vitest run "$@"; }
has_tests() { [ -n "$(find "$1" -name '*.test.ts' -print -quit 2>/dev/null)" ]; }

# feature NAME TITLE TEST_FOLDER BENCHMARK: a feature that may not be built yet.
feature() {
  local name=$1 title=$2 tests=$3 bench=$4
  if ! has_tests "$tests" && [ ! -f "$bench.ts" ]; then
    not_built "$name" "$title"
    return
  fi
  if has_tests "$tests"; then step "$name-tests" "$title: tests" vitest "$tests/"; else not_built "$name-tests" "$title: tests"; fi
  if [ -f "$bench.ts" ]; then step "$name-bench" "$title: benchmarks" node "dist/$bench.js"; else not_built "$name-bench" "$title: benchmarks"; fi
}

# Folders of test/ by what is tested there. What is not named here belongs to the integration tests, so that no new folder
# goes unnoticed.
unit='architecture conformance engine guards kernel procedure'
elsewhere='chaos integration semantic support synapse vector'
unit_folders=()
integration_folders=()
for folder in test/*/; do
  name=$(basename "$folder")
  has_tests "$folder" || continue
  if [[ " $unit " == *" $name "* ]]; then
    unit_folders+=("test/$name/")
  elif [[ " $elsewhere " != *" $name "* ]]; then
    integration_folders+=("test/$name/")
  fi
done

echo 'Production readiness of Procession'
[ -d node_modules ] || { echo 'error: node_modules is missing: run npm ci' >&2; exit 1; }

section 'Build'
# Whatever --only says: every other step uses what it makes.
wanted build
if ! run_step build 'dist/' npm run -s build; then
  printf '\n%sthe build failed: nothing was validated%s\n' "$red" "$plain"
  exit 1
fi

section 'Procedural store'
step procedural-unit 'unit tests' vitest "${unit_folders[@]}"
step procedural-integration 'integration tests' vitest "${integration_folders[@]}"
step procedural-kill 'kill test: workers killed under load' vitest test/chaos/
step procedural-bench 'benchmarks: the figures of the specification' node dist/bench/procedural-store.js

section 'Semantic store'
feature semantic 'Semantic store' test/semantic bench/semantic-store
section 'Vector math'
feature vector 'Vector math' test/vector bench/vector-math
section 'WebSocket Synapse'
feature synapse 'WebSocket Synapse' test/synapse bench/synapse
section 'Full integration'
if has_tests test/integration; then
  step integration 'Full integration: all features together' vitest test/integration/
else
  not_built integration 'Full integration: all features together'
fi

section 'Result'
if [ $matched = no ]; then
  printf 'error: no step is called "%s"\n' "$only" >&2
  usage >&2
  exit 2
fi
printf 'passed %d, failed %d, not built %d' "$passed" "$failed" "${#missing[@]}"
if [ "$skipped" -gt 0 ]; then printf ', left out by --only %d' "$skipped"; fi
printf '\n'
if [ "$failed" -gt 0 ]; then
  printf '%sSOME VALIDATIONS FAILED%s\n' "$red" "$plain"
  exit 1
fi
printf '%sEVERYTHING THAT RAN PASSED%s' "$green" "$plain"
if [ ${#missing[@]} -gt 0 ]; then
  list=$(printf '%s, ' "${missing[@]}")
  printf '; not validated, because not built: %s' "${list%, }"
fi
printf '\n'
