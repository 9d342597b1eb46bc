"""What `import harken` offers, one file for each thing that a person does. docs/api.md shows it.

    model.py        load a model and ask it about a clip
    questions.py    read questions, and ask how a reward values completions
    evaluation.py   evaluate a model on a benchmark, with five kinds of audio, or on several benchmarks
    scores.py       score predictions that any program wrote, and compare evaluations
    training.py     train, with a function that is called after each step
    runs.py         read a run folder, also as data frames
    pictures.py     plots that a notebook shows and a file holds
    demo.py         the demo: questions about built-in sounds, a tiny model, and the whole job on them

The command line is written on these functions. `harken/__init__.py` imports a file when one of its names is used.
"""
