"""Audio language models behind one Protocol."""
