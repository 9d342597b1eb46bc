"""ms-swift's GRPO on an audio model: swift_step.py CHECKPOINT DATA COMPLETION_TOKENS GROUP

It runs in the environment of `swift_environment.sh`, on one thread, as ms-swift's command line does, with a reward and
a pause between steps added. Everything trains, the tower and the projector too; temperature, KL weight, AdamW and
precision are those of the other side.
"""

import sys
import tempfile

import torch
from swift.callbacks import TrainerCallback, callbacks_map
from swift.pipelines import rlhf_main
from swift.rewards import ORM, orms
from turns import Turns

checkpoint, data, completion, group = sys.argv[1:5]
torch.set_num_threads(1)
turns = Turns()


class Parity(ORM):
    def __call__(self, completions, **kwargs):
        return [float(len(text) % 2) for text in completions]


class Waits(TrainerCallback):
    def on_train_begin(self, args, state, control, **kwargs):
        turns()

    def on_step_end(self, args, state, control, **kwargs):
        turns()


orms["parity"] = Parity
callbacks_map["turns"] = Waits
with tempfile.TemporaryDirectory() as folder:
    options = {
        **{"rlhf_type": "grpo", "model": checkpoint, "model_type": "qwen2_5_omni", "template": "qwen2_5_omni"},
        **{"tuner_type": "full", "torch_dtype": "float32", "freeze_vit": "false", "freeze_aligner": "false"},
        **{"dataset": data, "load_from_cache_file": "false", "split_dataset_ratio": 0, "dataset_num_proc": 1},
        **{"dataloader_num_workers": 0, "reward_funcs": "parity", "callbacks": "turns", "use_vllm": "false"},
        **{"num_generations": group, "max_completion_length": completion, "temperature": 1.2, "top_p": 1.0},
        **{"top_k": 0, "beta": 0.04, "per_device_train_batch_size": group, "gradient_accumulation_steps": 1},
        **{"max_steps": 1000, "learning_rate": 1e-6, "lr_scheduler_type": "constant", "optim": "adamw_torch"},
        **{"gradient_checkpointing": "false", "vit_gradient_checkpointing": "false", "attn_impl": "sdpa"},
        **{"bf16": "false", "fp16": "false", "save_strategy": "no", "eval_strategy": "no", "report_to": "none"},
        **{"logging_steps": 1, "log_completions": "false", "output_dir": folder, "seed": 42},
    }
    rlhf_main([text for key, value in options.items() for text in (f"--{key}", str(value))])
