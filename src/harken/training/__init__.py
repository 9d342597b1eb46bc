"""What any training loop needs: session, run folder, checkpoints, optimizers, reference, probe, trackers."""
