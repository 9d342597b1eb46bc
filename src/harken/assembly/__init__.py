"""Puts a pretrained Whisper encoder and a pretrained language model together as an audio language model."""
