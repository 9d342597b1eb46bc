"""A step of GRPO of a published size on fake tensors, for simulate.py: the peak of live tensors, part by part.

The code is that of a run. What differs: the other ranks do not exist, and their collectives do nothing; no kernel runs,
so every completion is as long as it may be; host memory is not counted. Without CUDA's allocator, context and
workspaces, the sums are those of live tensors, as the account's are without its reserve.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.distributed as dist
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp._fully_shard import _fsdp_param
from torch.testing._internal.distributed.fake_pg import FakeStore

import harken.models.sharding
import harken.training.memory_saving_adamw
import harken.training.reference_model
from counted_memory import CountedMemory, KnownValues
from gpu_setup import Work, build_model, make_questions, noise_loader
from gpu_step import spread_advantages
from harken.config import GrpoConfig, MemoryConfig, PromptConfig
from harken.grpo.reference_pass import score_with_reference
from harken.grpo.sample_completions import sample_completions
from harken.grpo.update import update
from harken.inference.completions import as_completions
from harken.inference.prompt_inputs import PromptInputs
from harken.models.audio_lm import ModelInput
from harken.models.chat_audio_model import ChatAudioModel
from harken.models.policy import enable_gradient_checkpointing, mixed_precision
from harken.models.sharding import gathered, shard, share_frozen_parts
from harken.questions.prompt import Prompt
from harken.training.memory_saving_adamw import MemorySavingAdamW
from harken.training.optimizer import apply_update, build_optimizer
from harken.training.reference_model import make_reference

BETAS = (0.9, 0.99)
TOKEN = 5
"""Any token: of what completions consist after the rollout."""


@dataclass(frozen=True, slots=True)
class SimulatedRun:
    """One rank of a run.

    Attributes:
        work: size, blocks of the language model, and this rank's prompts; `direct` tokens a completion.
        ranks: of the run.
        memory, tokens_per_micro_batch: of the recipe.
    """

    work: Work
    ranks: int
    memory: MemoryConfig
    tokens_per_micro_batch: int

    @property
    def settings(self) -> GrpoConfig:
        return GrpoConfig(
            prompts_per_step=self.work.prompts * self.ranks,
            completions_per_prompt=self.work.group,
            max_completion_tokens=self.work.direct,
            tokens_per_micro_batch=None if self.memory.step_in_backward else self.tokens_per_micro_batch,
            max_grad_norm=None if self.memory.step_in_backward else 1.0,
        )


class UpdatedInHostMemory(MemorySavingAdamW):
    """Stands for `HostAdamW`, which takes nothing of the card: its thread would leave the fake tensors' mode."""

    def _update(self, parameter: Any, gradient: Any) -> None: ...


def simulate_steps(run: SimulatedRun) -> tuple[dict[str, int], int]:
    """(peak bytes of rollout, reference pass and update in a step with the optimizer's state, tokens of a prompt).

    Call it once in a process, because it replaces functions of FSDP and of the models, and a group of ranks is left
    open.
    """
    prompt = Prompt.from_config(PromptConfig())
    questions = make_questions(run.work)
    reader = build_model(replace(run.work, device=torch.device("meta")), torch.bfloat16)
    read = PromptInputs(reader, prompt, 0, load_clips=noise_loader(run.work))(questions)
    setattr(ChatAudioModel, "_check_placeholders", lambda *arguments: None)  # it reads values  # noqa: B010
    setattr(harken.models.sharding, "silent_input", lambda model: None)  # for ranks without a clip  # noqa: B010
    if run.ranks > 1:
        os.environ |= {"RANK": "0", "WORLD_SIZE": str(run.ranks)}
        dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=run.ranks)
    counted = CountedMemory()
    with FakeTensorMode(allow_non_fake_inputs=True), counted, KnownValues():
        inputs = [
            ModelInput(torch.tensor(given.input_ids.tolist()), torch.empty(given.features.shape), "")
            for given in read
            if given.features is not None
        ]
        model, reference, optimizer = _build(run, counted)
        _make_state(optimizer, run.settings.max_grad_norm)
        peaks: dict[str, int] = {}
        settings, rows = run.settings, run.work.group
        with mixed_precision(model, "bf16_mixed"):
            with _peak_of("rollout", counted, peaks), gathered(model):
                sampled = list(sample_completions(model, questions, inputs, prompt, settings, seed=0, step=1))
            for batch in sampled:
                tokens = [torch.tensor([TOKEN] * run.work.direct)] * (len(batch.questions) * rows)
                batch.completions = as_completions(tokens, torch.device("cpu"))
            with _peak_of("reference", counted, peaks):
                scored = score_with_reference(model, reference, sampled, settings)
            batches = [spread_advantages(batch) for batch in scored]
            del sampled, scored
            with _peak_of("update", counted, peaks):
                update(model, batches, settings, optimizer, 1e-6)
    return peaks, max(given.length for given in read)


@contextmanager
def _peak_of(name: str, counted: CountedMemory, peaks: dict[str, int]) -> Iterator[None]:
    counted.reset()
    yield
    peaks[name] = counted.peak


def _build(run: SimulatedRun, counted: CountedMemory) -> tuple[Any, Any, torch.optim.Optimizer]:
    """Policy, reference and optimizer as a run on a card has them; on several ranks one rank's parts."""
    memory = run.memory
    _compute_an_update_once(counted)
    dtype = torch.float32 if memory.weights == "float32" else torch.bfloat16
    _leave_out_streamed_blocks(counted)
    model: Any = build_model(run.work, dtype)
    enable_gradient_checkpointing(model.module)
    reference: Any = make_reference(model, memory.reference, mixed=True, will_be_sharded=run.ranks > 1)
    if run.ranks > 1:
        _count_resized_storages(counted)
        mesh = init_device_mesh("cpu", (run.ranks,))
        model = shard(model, mesh, torch.bfloat16 if dtype == torch.float32 else None)
        streamed = memory.reference == "streamed"
        reference = shard(reference, mesh, None, blocks_in_host_memory=streamed)
        share_frozen_parts(model, reference)
        for part in ("audio_tower", "language_model") if streamed else ():
            for parameter in reference.parts[part].layers.parameters():
                counted.leave_out(parameter.to_local())
    return model, reference, _optimizer(model.module, memory)


def _optimizer(module: torch.nn.Module, memory: MemoryConfig) -> torch.optim.Optimizer:
    if memory.optimizer != "offloaded":
        return build_optimizer(module, learning_rate=1e-6, betas=BETAS, weight_decay=0.0, memory=memory)
    return UpdatedInHostMemory(
        [parameter for parameter in module.parameters() if parameter.requires_grad],
        lr=1e-6,
        betas=BETAS,
        weight_decay=0.0,
        weights="float32",
        moments="adamw",
        in_backward=memory.step_in_backward,
    )


def _compute_an_update_once(counted: CountedMemory) -> None:
    """Have an update of a piece whose sizes and types were seen before take one tensor of the bytes that the first one
    took at most. Two thirds of the time of a simulated step in 8 bits went into these operators."""
    original, bytes_taken = harken.training.memory_saving_adamw.update_piece, {}

    def update(weights: Any, gradients: Any, state: Any, *others: Any) -> None:
        tensors = (weights, gradients, *(state[name] for name in sorted(state)))
        key = tuple((tensor.shape, tensor.dtype) for tensor in tensors)
        if key in bytes_taken:
            torch.empty(bytes_taken[key], dtype=torch.uint8)
            return
        before, peak = counted.now, counted.peak
        counted.reset()
        original(weights, gradients, state, *others)
        bytes_taken[key], counted.peak = counted.peak - before, max(peak, counted.peak)

    harken.training.memory_saving_adamw.update_piece = update


def _make_state(optimizer: torch.optim.Optimizer, max_grad_norm: float | None) -> None:
    """Give the optimizer the state that it has after an update. DTensor finds out shapes on whole tensors, which it
    needs no more in a second update."""
    for group in optimizer.param_groups:
        for weight in group["params"]:
            weight.grad = torch.empty_like(weight)
            if isinstance(optimizer, MemorySavingAdamW) and optimizer.in_backward:
                optimizer._update_in_backward(weight)
    apply_update(optimizer, 1e-6, max_grad_norm)
    optimizer.zero_grad(set_to_none=True)


def _leave_out_streamed_blocks(counted: CountedMemory) -> None:
    blocks: Any = harken.training.reference_model.StreamedBlocks
    add = blocks.add

    def add_in_host_memory(self: Any, parameters: Any) -> Any:
        replacements = add(self, parameters)
        if parameters:
            counted.leave_out(self._bytes[-1])
        return replacements

    blocks.add = add_in_host_memory


def _count_resized_storages(counted: CountedMemory) -> None:
    """FSDP frees and takes the memory of gathered parameters without an operator."""
    for name in ("alloc_storage", "free_storage"):
        original = getattr(_fsdp_param, name)

        def resize(tensor: torch.Tensor, original: Any = original) -> None:
            original(tensor)
            counted.resized(tensor, tensor.untyped_storage().nbytes())

        setattr(_fsdp_param, name, resize)
