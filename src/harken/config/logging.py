"""The section `logging`: what a run measures and keeps on the way."""

from typing import Literal

from harken.config.section import NonNegativeInt, PositiveInt, Section


class LoggingConfig(Section):
    """What a run prints, measures and keeps."""

    every: PositiveInt = 10
    """The number of steps between rows on screen and between kept rollouts. metrics.jsonl has every step."""
    checkpoint_every: PositiveInt | None = 100
    """The number of steps between checkpoints; null writes one at the last step alone, which always has one, and where
    SIGTERM or Ctrl-C stops the run."""
    keep_checkpoints: PositiveInt = 2
    """How many of the newest checkpoints are kept. The best one on the development part is kept too; none is chosen on
    a test set."""
    evaluate_every: PositiveInt | None = None
    """The number of steps between greedy evaluations on the development part (`data.dev_share`)."""
    trackers: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()
    """Programs to which metrics are sent too, and tables of sampled completions with their clips (`completions`)."""
    completions: NonNegativeInt = 16
    """The number of completions of a step that the trackers get as a table, with prompt, choice, right answer, rewards,
    advantage and the clip to play; half of them at most are of one question. Tables are of steps whose rollouts are
    kept, 50 in a run at most, and hold the first 30 s of a clip. 0 sends none."""
    project: str = "harken"
    """The project's name in W&B and trackio."""
