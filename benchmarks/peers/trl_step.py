"""TRL's GRPOTrainer on a text model: trl_step.py CHECKPOINT PROMPT_TOKENS COMPLETION_TOKENS GROUP

Prompts are random words of the checkpoint's tokenizer, one token each; a step has one prompt. Temperature, KL weight,
AdamW, precision and one update per rollout are those of the other side.
"""

import random
import sys
import tempfile

import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerFast, TrainerCallback
from trl import GRPOConfig, GRPOTrainer
from turns import Turns

checkpoint, prompt, completion, group = sys.argv[1], *map(int, sys.argv[2:5])
torch.set_num_threads(1)
random.seed(0)
words = [" ".join(f"w{random.randrange(4000)}" for _ in range(prompt)) for _ in range(1000)]
turns = Turns()


class Waits(TrainerCallback):
    def on_train_begin(self, args, state, control, **kwargs):
        turns()

    def on_step_end(self, args, state, control, **kwargs):
        turns()


with tempfile.TemporaryDirectory() as folder:
    GRPOTrainer(
        model=checkpoint,
        reward_funcs=lambda completions, **kwargs: [float(len(text) % 2) for text in completions],
        args=GRPOConfig(
            **{"output_dir": folder, "report_to": [], "save_strategy": "no", "logging_steps": 1, "max_steps": 1000},
            **{"use_cpu": True, "bf16": False, "gradient_checkpointing": False, "disable_tqdm": True},
            **{"per_device_train_batch_size": group, "gradient_accumulation_steps": 1, "num_generations": group},
            **{"max_completion_length": completion, "temperature": 1.2, "beta": 0.04, "learning_rate": 1e-6},
            **{"lr_scheduler_type": "constant", "max_grad_norm": 1.0},
        ),
        train_dataset=Dataset.from_dict({"prompt": words}),
        processing_class=PreTrainedTokenizerFast.from_pretrained(checkpoint),
        callbacks=[Waits()],
    ).train()
