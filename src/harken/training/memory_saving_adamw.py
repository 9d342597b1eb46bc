"""AdamW for cards that cannot hold float32 weights with two float32 moments: `memory.weights`, `memory.optimizer` and
`memory.step_in_backward` of a recipe.

Trained weights are float32, or bfloat16 with the 16 bits that make them float32 again beside the moments, or bfloat16
that is rounded stochastically. Moments are float32 or 8 bits on the parameter's device; `host_adamw.py` keeps them in
host memory. The update reads one piece of one parameter at a time into float32, and may run during the backward pass.
Of a parameter that lies on several ranks, each rank updates its own part as one rank would.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from harken.config.memory import Moments, Weights
from harken.models.precision import join_float32, split_float32
from harken.models.sharded_tensors import first_number, local_part
from harken.training.adamw_number_formats import block_size, eight_bit_values
from harken.training.adamw_update import compiled_update, update_factors, update_piece

PIECE = 2**24
"""Numbers that are float32 at once. It bounds the memory of the update to about ten times 64 MiB."""
SMALL = 4096
"""Smaller tensors keep float32 moments in adamw_8bit, as with torchao and bitsandbytes."""


class MemorySavingAdamW(torch.optim.Optimizer):
    """AdamW (arXiv 1711.05101) as `torch.optim.AdamW` computes it, up to float32 rounding.

    Args:
        parameters: parameters, or groups of them as torch.optim has them, each with a weight decay of its own.
        weights: how weights are stored. "float32" takes float32 parameters, the other two take bfloat16 parameters.
        moments: how moments are stored.
        in_backward: update a parameter as soon as its gradient is complete, then drop the gradient. The learning rate
            of a step must then be set before its backward pass, with `harken.training.optimizer.set_learning_rate`.
        corrections: with "bf16_corrected": parameter -> the bits that this rank's part of it lacks, int16; 0 for a
            parameter without.
        seed: of stochastic rounding. A rounding follows from (seed, index of the parameter, its update, the weight).

    Attributes:
        left_alone: parameters whose gradients are dropped during a backward pass instead of used, with `in_backward`.

    Raises ConfigError for adamw_8bit where torchao is not installed.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor] | Iterable[dict[str, Any]],
        *,
        lr: float,
        betas: tuple[float, float],
        weight_decay: float,
        weights: Weights,
        moments: Moments,
        in_backward: bool = False,
        corrections: Mapping[nn.Parameter, Tensor] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "weight_decay": weight_decay})
        self.weights, self.moments, self.in_backward, self.seed = weights, moments, in_backward, seed
        self.left_alone: frozenset[Tensor] = frozenset()
        self._squared_norm = torch.zeros(())
        self._values = eight_bit_values() if moments == "adamw_8bit" else None
        self._index = {parameter: i for i, parameter in enumerate(self._parameters())}
        self._group = {parameter: group for group in self.param_groups for parameter in group["params"]}
        for parameter, correction in (corrections or {}).items():
            self.set_exact_weight(parameter, join_float32(local_part(parameter.detach()).cpu(), correction))
        if in_backward:
            for parameter in self._index:
                parameter.register_post_accumulate_grad_hook(self._update_in_backward)

    def _parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def exact_weight(self, parameter: nn.Parameter) -> Tensor:
        """The float32 that this rank's part of a trained parameter stands for, in host memory; the part itself where
        nothing more is known of it."""
        correction = self.state.get(parameter, {}).get("correction")
        stored = local_part(parameter.detach())
        return stored if correction is None else join_float32(stored.cpu(), correction.cpu())

    @torch.no_grad()
    def set_exact_weight(self, parameter: Tensor, weight: Tensor) -> None:
        """Give this rank's part of a trained parameter its value; bits that the parameter itself cannot hold are kept
        beside it where the mode keeps any.

        Args:
            weight: float32, of the shape of this rank's part.
        """
        stored = local_part(parameter.detach())
        if self.weights != "bf16_corrected":
            stored.copy_(weight)
            return
        self.state[parameter] = self.state.get(parameter) or self._new_state(parameter)
        high, low = split_float32(weight.float().contiguous())
        stored.copy_(high)
        self.state[parameter]["correction"].copy_(low)

    @torch.no_grad()
    def step(  # pyright: ignore[reportIncompatibleMethodOverride] (no closure, so no loss)
        self, closure: None = None
    ) -> None:
        """Update every parameter that has a gradient. With `in_backward` none has one any more."""
        assert closure is None
        for parameter in self._parameters():
            if parameter.grad is not None:
                self._update(parameter, local_part(parameter.grad))

    @torch.no_grad()
    def _update_in_backward(self, parameter: Tensor) -> None:
        assert isinstance(parameter, nn.Parameter)
        assert parameter.grad is not None
        if parameter in self.left_alone:
            parameter.grad = None
            return
        gradient = local_part(parameter.grad)
        # Summed on the device: reading the number here would wait for the device at every parameter.
        norm = torch.linalg.vector_norm(gradient, dtype=torch.float32)
        self._squared_norm = self._squared_norm.to(norm.device) + norm**2
        self._update(parameter, gradient)
        parameter.grad = None

    def take_norm(self) -> float:
        """The norm of all gradients of the last backward pass, with `in_backward`, over all ranks. The next call starts
        from 0."""
        example = self._parameters()[0]
        squared = self._squared_norm.to(example.device)
        if isinstance(example, DTensor):
            dist.all_reduce(squared, group=example.device_mesh.get_group())
        self._squared_norm = torch.zeros(())
        return float(squared) ** 0.5

    def _next_update(self, parameter: nn.Parameter) -> int:
        """Count one more update of a parameter, whose state is made at its first one. Returns its number."""
        if not self.state[parameter]:
            self.state[parameter] |= self._new_state(parameter)
        self.state[parameter]["step"] += 1
        return int(self.state[parameter]["step"])

    def _update(self, parameter: nn.Parameter, gradient: Tensor) -> None:
        """One step of this rank's part of one parameter, piece by piece."""
        update_number = self._next_update(parameter)
        group, state = self._group[parameter], self.state[parameter]
        factors = update_factors(group["lr"], group["betas"], group["weight_decay"], update_number)
        device = parameter.device
        values = None if self._values is None else {name: table.to(device) for name, table in self._values.items()}
        update = compiled_update() if device.type == "cuda" else update_piece
        weights, gradients = local_part(parameter.detach()).view(-1), gradient.reshape(-1)
        flat = {name: tensor.view(-1) for name, tensor in state.items() if name != "step"}
        # Blocks of 8-bit moments are not cut.
        block = max(1, block_size(parameter.numel() // parameter.shape[0])) if parameter.ndim else 1
        for start in range(0, weights.numel(), PIECE // block * block):
            end = min(start + PIECE // block * block, weights.numel())
            pieces = {
                name: tensor[start // block : end // block] if name.endswith("_scale") else tensor[start:end]
                for name, tensor in flat.items()
            }
            place = self._place(parameter, update_number, start)
            update(weights[start:end], gradients[start:end], pieces, place, factors, values)

    def _place(self, parameter: nn.Parameter, update_number: int, start: int) -> tuple[Tensor, Tensor] | None:
        """The arguments of `noise` for a piece; None where nothing is rounded at random."""
        if self.weights != "bf16_stochastic":
            return None
        name = f"{self.seed},{self._index[parameter]},{update_number}".encode()
        key = int.from_bytes(hashlib.blake2b(name, digest_size=4).digest(), "little")
        first = first_number(parameter) + start
        return torch.tensor(key, device=parameter.device), torch.tensor(first, device=parameter.device)

    def _new_state(self, parameter: Tensor) -> dict[str, Tensor]:
        part = local_part(parameter.detach())
        block = block_size(parameter.numel() // parameter.shape[0]) if parameter.ndim else 0
        state = {"step": torch.zeros((), dtype=torch.int64)}
        for name in ("exp_avg", "exp_avg_sq"):
            if self._values is not None and parameter.numel() >= SMALL and block:
                zero = int((self._values[name] == 0).nonzero()[0, 0])
                state[name] = torch.full(part.shape, zero, dtype=torch.uint8, device=part.device)
                blocks = part.shape[0], parameter.numel() // parameter.shape[0] // block
                state[f"{name}_scale"] = torch.zeros(blocks, device=part.device)
            else:
                state[name] = torch.zeros(part.shape, dtype=torch.float32, device=part.device)
        if self.weights == "bf16_corrected":
            state["correction"] = torch.zeros(part.shape, dtype=torch.int16, device=part.device)
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the saved tensors as they are. The base class would cast them to the parameter's type and device.

        Raises ValueError where they were saved for other parameters or in another mode.
        """
        parameters = self._parameters()
        groups = state_dict["param_groups"]
        if [len(group["params"]) for group in groups] != [len(group["params"]) for group in self.param_groups]:
            raise ValueError("saved for another number of parameters")
        for group, saved_group in zip(self.param_groups, groups, strict=True):
            group |= {name: value for name, value in saved_group.items() if name != "params"}
        self.state.clear()
        for index, saved in state_dict["state"].items():
            expected = self._new_state(parameters[index])
            parts = {name: local_part(tensor) for name, tensor in saved.items()}
            if _shapes_and_types(parts) != _shapes_and_types(expected):
                raise ValueError(f"parameter {index} has another shape or was saved in another mode of memory")
            self.state[parameters[index]] = {name: parts[name].to(new.device) for name, new in expected.items()}


def _shapes_and_types(state: dict[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in state.items()}
