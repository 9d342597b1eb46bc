"""The readers that a source of questions can name in `reader`: harken's own manifest, and each benchmark's records."""

from harken.benchmarks.airbench_records import read_airbench
from harken.benchmarks.mmar_records import read_mmar
from harken.benchmarks.mmau_records import read_mmau
from harken.benchmarks.mmsu_records import read_mmsu
from harken.data.load import Reader
from harken.data.manifest import read_manifest

READERS: dict[str, Reader] = {
    "mmau": read_mmau,
    "mmar": read_mmar,
    "airbench": read_airbench,
    "mmsu": read_mmsu,
    "manifest": read_manifest,
}
