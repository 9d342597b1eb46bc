"""Audio language models behind one protocol: one file an architecture; loading, LoRA, sharding, tiny checkpoints."""

from transformers.utils import logging

logging.disable_progress_bar()  # training shows a progress bar of its own, and log files get none
