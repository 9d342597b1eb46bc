"""What any program needs: files, ranks, console, progress, and a client of OpenAI-compatible servers."""
