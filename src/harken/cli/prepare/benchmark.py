"""`harken prepare mmau` and the like, one command for each benchmark: its records become a manifest."""

from collections.abc import Callable

from harken.cli.options import console
from harken.cli.prepare import options
from harken.system.progress import StepProgress


def benchmark_command(name: str) -> Callable[..., None]:
    """Make the command for one benchmark."""

    def command(
        data: options.BenchmarkFile,
        audio_root: options.ClipFolder,
        out: options.PreparedFolder,
        workers: options.Workers = 2,
    ) -> None:
        from harken.prepare.benchmarks import prepare_benchmark

        with StepProgress(console, "clips", 0, 1000) as progress:
            card = prepare_benchmark(name, data, audio_root, out, workers=workers, on_progress=progress.update)
        options.print_card(card, out)

    command.__doc__ = f"Turn the records of the benchmark {name} into a manifest."
    return command
