"""`harken generate`: a language model behind an OpenAI-compatible server writes questions, reasoning or captions."""
