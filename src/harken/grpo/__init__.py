"""GRPO: sample completions, reward them, compare each with the other completions of its prompt, update the policy.

`loop.py` is the training loop, `step.py` one step of it; the other files are the stages of a step.
"""
