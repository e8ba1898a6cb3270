#!/usr/bin/env bash
# Measures the vector engine alone: its kernels, and its indexes beside other libraries where python3 with pip is there.
#   tools/bench-engine.sh [--full] [--json] [--data FOLDER]
# FOLDER is one that bin/vectorbench reads; without it the demo's 26,000 rows are taken. --full adds more index types, 1,000,000 rows x 128
# and 1,000,000 x 768: that takes hours, mostly for the other libraries' builds, and 24 GiB of memory.
# GYR_BENCH_PEERS names the other libraries, empty for none.
set -euo pipefail
cd "$(dirname "$0")/.."
full= data=demo: json=()
while [ $# -gt 0 ]; do
  case $1 in
  --full) full=1 ;;
  --json) json=(--json) ;;
  --data) [ $# -gt 1 ] || { echo "bench-engine: --data needs a folder" >&2; exit 2; }; data=$2; shift ;;
  --data=*) data=${1#--data=} ;;
  *) echo "bench-engine: unknown argument $1 (there are --full, --json, --data FOLDER)" >&2; exit 2 ;;
  esac
  shift
done
[ -x bin/vectorbench ] || { echo "bench-engine: bin/vectorbench is not built; run make build (make bench does it)" >&2; exit 1; }

peers=${GYR_BENCH_PEERS-hnswlib,faiss}
if [ -n "$peers" ] && ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
  echo "bench-engine: python3 with venv and pip is not here: no comparison with other libraries" >&2
  peers=
fi
# measure INDEX DATA [MORE...]: figures of one index; the other libraries are asked for only where they have the type.
measure() {
  local index=$1 from=$2 with=$peers
  shift 2
  [[ $index = HNSW* || -z $with ]] || with=faiss
  [ ${#json[@]} -gt 0 ] || printf '\n== %s, %s\n' "$index" "$from"
  bin/vectorbench --data "$from" --index "$index" --peers "$with" ${json[@]+"${json[@]}"} "$@"
}

bin/vectorbench --kernels ${json[@]+"${json[@]}"}
measure HNSW "$data"
[ -n "$full" ] || exit 0
for index in IVF_FLAT IVF_SQ8 FLAT; do measure $index "$data"; done
measure HNSW "$data" --threads 2 --rebuild
for from in synth:1000000x128 synth:1000000x768; do
  measure HNSW $from --rounds 5
  for index in IVF_FLAT IVF_SQ8; do measure $index $from --rounds 5; done
done
