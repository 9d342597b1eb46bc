"""Audio language models behind one Protocol."""

from transformers.utils import logging

logging.disable_progress_bar()  # while training there is one bar, ours; log files get none
