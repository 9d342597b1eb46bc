"""harken: reinforcement fine-tuning of audio language models for questions about sound, speech and music."""

__version__ = "0.1.0"
