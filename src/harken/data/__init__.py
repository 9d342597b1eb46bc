"""Questions and clips: files -> checked `Question`s and waveforms, and the order in which training sees them."""
