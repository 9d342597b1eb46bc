"""What the model reads and writes: inputs, prefill, decoding, KV caches, log-probabilities."""
