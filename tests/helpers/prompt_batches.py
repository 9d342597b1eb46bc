"""Batches of prompts with and without audio, and the distance between two sets of gradients."""

import torch

BATCHES = {
    "audio": [("Which digit?", 0.7), ("Two digits are spoken in the audio. What is their sum?", 2.3)],
    "text only": [("What is 2 + 2?", None), ("Which of these is an instrument and which is not?", None)],
    "mixed": [("Which digit?", 1.1), ("What is 2 + 2?", None), ("And which one comes second?", 0.06)],
}

LENGTHS = [1, 5, 3, 1, 9, 2]


def relative_errors(actual: dict, expected: dict) -> dict[str, float]:
    """Per tensor: |actual - expected| / max(|expected|, 1e-3 of the global norm)."""
    whole = torch.stack([gradient.norm() for gradient in expected.values()]).norm()
    return {
        name: float((actual[name] - gradient).norm() / torch.clamp(gradient.norm(), min=1e-3 * whole))
        for name, gradient in expected.items()
    }
