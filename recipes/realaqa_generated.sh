#!/usr/bin/env bash
# Write questions from the labels of real recordings, then train two GRPO steps on them:
#   realaqa_generated.sh OUT [DATA] [CLIPS]
#   recipes/realaqa_generated.sh runs/realaqa-generated
set -euo pipefail
out=$1 data=${2:-../shared/realaqa} clips=${3:-300}
here=$(dirname "$0")
mkdir -p "$out"
rm -f "$out/address"
python "$here/realaqa_generated.py" captions "$data/train.json" "$out/captions.jsonl" "$clips"
python "$here/realaqa_generated.py" serve "$out/address" &
trap 'kill $!' EXIT
until [ -s "$out/address" ]; do sleep 0.1; done
harken generate questions --captions "$out/captions.jsonl" --out "$out/questions" \
  --endpoint "$(cat "$out/address")" --model scripted
harken tiny --arch qwen2_5_omni --text "$data/train.json" --out "$out/tiny"
harken train "$here/realaqa_generated.yaml" --set "model.path=$out/tiny" --out "$out/grpo" \
  --set "data.train.0.file=$out/questions/manifest.jsonl" --set "data.train.0.audio_root=$data"
