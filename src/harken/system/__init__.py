"""What any program needs: files, ranks, randomness, console output, and a client of OpenAI-compatible servers."""
