"""What every training loop needs: the session, run folder, checkpoints, optimizer, reference model, probe, trackers.

The loop of supervised fine-tuning is here too (`sft.py`); that of GRPO is in `harken.grpo`.
"""
