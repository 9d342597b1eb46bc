"""What the model reads and what it writes: inputs, prefill, decoding, caches, log-probabilities."""
