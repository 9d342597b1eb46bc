#!/usr/bin/env bash
# Run one seed of the realaqa_thinker recipes, from random weights to tables: realaqa_thinker.sh SEED OUT [REALAQA]
#   recipes/realaqa_thinker.sh 0 runs/realaqa-thinker/seed0
set -euo pipefail
seed=$1 out=$2 realaqa=${3:-../shared/realaqa}
here=recipes/realaqa_thinker
data=$out/data
port=$((8700 + seed))
python "$here.py" "$realaqa" "$data"
harken tiny --seed "$seed" --text "$data/text.jsonl" --text "$data/sft.jsonl" --text "$data/joined.jsonl" \
  --text "$here.txt" --out "$out/tiny"
python "${here}_judge.py" serve "$port" &
trap 'kill %1' EXIT
harken sft "${here}_sft_text.yaml" --set "seed=$seed" --set "model.path=$out/tiny" --out "$out/sft_text" \
  --set "data.train.0.file=$data/text.jsonl" --set "data.train.0.audio_root=$realaqa"
harken sft "${here}_sft.yaml" --set "seed=$seed" --set "model.path=$out/sft_text" --out "$out/sft" \
  --set "data.train.0.file=$data/sft.jsonl" --set "data.train.0.audio_root=$realaqa" \
  --set "data.train.1.file=$data/joined.jsonl" --set "data.train.1.audio_root=$data"
train() {  # train REWARD START NAME [OPTIONS]
  harken train "${here}_$1.yaml" --set "seed=$seed" --set "model.path=$2" --out "$out/$3" \
    --set "data.train.0.file=$data/grpo.jsonl" --set "data.train.0.audio_root=$realaqa" "${@:4}"
}
evaluate() {  # evaluate RUN NAME [OPTIONS]
  harken evaluate "${here}_test.yaml" --model "$out/$1" --data "$data/test.jsonl" --audio-root "$realaqa" \
    --out "$out/$1/eval/$2" "${@:3}"
}
train atar "$out/sft" atar
train accuracy "$out/sft" accuracy
train no_balance "$out/sft" no_balance
# The supervised control: SFT from the same start with as many steps and questions and the same learning rate.
harken sft "${here}_sft.yaml" --set "seed=$seed" --set "model.path=$out/sft" --out "$out/control" \
  --set "data.train.0.file=$data/sft.jsonl" --set "data.train.0.audio_root=$realaqa" \
  --set "data.train.1.file=$data/joined.jsonl" --set "data.train.1.audio_root=$data" --set sft.stop_at_dev_accuracy=null \
  --set sft.steps=200 --set sft.prompts_per_step=16 --set sft.learning_rate=3e-4 --set sft.schedule=linear
# For the judge: SFT on reasonings that contradict some answers, then ATAR from there without the judge and with it.
harken sft "${here}_sft_contradicting.yaml" --set "seed=$seed" --set "model.path=$out/sft" --out "$out/contradicting" \
  --set "data.train.0.file=$data/contradicting.jsonl" --set "data.train.0.audio_root=$realaqa"
train atar "$out/contradicting" unjudged
train judged "$out/contradicting" judged --set "judge.endpoint.base_url=http://127.0.0.1:$port/v1"
for name in sft atar accuracy no_balance control contradicting unjudged judged; do
  evaluate "$name" test
  evaluate "$name" test-no-think --force no_think
  evaluate "$name" test-think --force think
done
harken compare "$out/accuracy/eval/test" "$out/atar/eval/test"
harken compare "$out/atar/eval/test-no-think" "$out/atar/eval/test"
python "${here}_judge.py" count "$out"/{contradicting,unjudged,judged}/eval/test{-think,}
