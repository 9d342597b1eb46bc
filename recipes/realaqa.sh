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
# The supervised control: SFT from the same warm start with as many steps, questions and the same learning rate.
key() { sed -n "/^grpo:/,/^[a-z]/s/^  $1: //p" "$out/grpo/config.yaml"; }
harken sft "$recipe" --set "seed=$seed" --set "model.path=$out/sft" --set "data.train.0.file=$data/train.json" \
  --set "sft.steps=$(key steps)" --set "sft.prompts_per_step=$(key prompts_per_step)" \
  --set "sft.learning_rate=$(key learning_rate)" --set "sft.schedule=$(key schedule)" --set sft.warmup_share=0 \
  --set sft.stop_at_dev_accuracy=null --out "$out/control"
for run in sft grpo control; do
  evaluate=(harken evaluate --model "$out/$run" --benchmark mmau --data "$data/test.json" --max-completion-tokens 8)
  "${evaluate[@]}" --out "$out/$run/eval/test"
  "${evaluate[@]}" --no-audio --out "$out/$run/eval/test-no-audio"
done
harken compare "$out/sft/eval/test" "$out/grpo/eval/test"
harken compare "$out/sft/eval/test-no-audio" "$out/grpo/eval/test-no-audio"
harken compare "$out/control/eval/test" "$out/grpo/eval/test"
