"""The algorithm: sample a batch, reward it, compare each completion with its group, update the policy."""
