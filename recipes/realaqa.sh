#!/usr/bin/env bash
# Run one seed of a realaqa recipe, from random weights to tables: realaqa.sh RECIPE ARCH SEED OUT [DATA [SFT OPTIONS]]
#   recipes/realaqa.sh recipes/realaqa_omni.yaml qwen2_5_omni 0 runs/realaqa-omni/seed0
set -euo pipefail
recipe=$1 arch=$2 seed=$3 out=$4 data=${5:-../shared/realaqa}
harken tiny --arch "$arch" --seed "$seed" --text "$data/train.json" --out "$out/tiny"
harken sft "$recipe" --set "seed=$seed" --set "model.path=$out/tiny" --set "data.train.0.file=$data/train.json" \
  --out "$out/sft" "${@:6}"
harken train "$recipe" --set "seed=$seed" --set "model.path=$out/sft" --set "data.train.0.file=$data/train.json" \
  --out "$out/grpo"
for run in sft grpo; do
  evaluate=(harken evaluate --model "$out/$run" --benchmark mmau --data "$data/test.json" --max-completion-tokens 8)
  "${evaluate[@]}" --out "$out/$run/eval/test"
  "${evaluate[@]}" --no-audio --out "$out/$run/eval/test-no-audio"
done
harken compare "$out/sft/eval/test" "$out/grpo/eval/test"
harken compare "$out/sft/eval/test-no-audio" "$out/grpo/eval/test-no-audio"
