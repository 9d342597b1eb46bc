"""AdamW for cards that cannot hold float32 weights with two float32 moments: `memory.weights`, `memory.optimizer` and
`memory.step_in_backward` of a recipe.

Trained weights are float32, or bfloat16 with the 16 bits that make them float32 again beside the moments, or bfloat16
that is rounded stochastically. Moments are float32 or 8 bits, on the parameter's device or in host memory. The update
reads one piece of one parameter at a time into float32, and may run during the backward pass.
"""

import functools
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from harken.models.precision import join_float32, round_stochastically, split_float32
from harken.training.adamw_number_formats import BLOCK, eight_bit_values, read_moment, write_moment

Weights = Literal["float32", "bf16_corrected", "bf16_stochastic"]
Moments = Literal["adamw", "adamw_8bit", "offloaded"]

PIECE = 2**24
"""Numbers that are float32 at once. It bounds the memory of the update to about ten times 64 MiB."""
SMALL = 4096
"""Smaller tensors keep float32 moments in adamw_8bit, as with torchao and bitsandbytes."""
EPSILON = 1e-8


class MemorySavingAdamW(torch.optim.Optimizer):
    """AdamW (arXiv 1711.05101) as `torch.optim.AdamW` computes it, up to float32 rounding.

    Args:
        parameters: parameters, or groups of them as torch.optim has them, each with a weight decay of its own.
        weights: how weights are stored. "float32" takes float32 parameters, the other two take bfloat16 parameters.
        moments: "adamw" and "adamw_8bit" are on the parameter's device; "offloaded" is float32 in host memory.
        in_backward: update a parameter as soon as its gradient is complete, then drop the gradient. The learning rate
            of a step must then be set before its backward pass, with `harken.training.optimizer.set_learning_rate`.
        corrections: with "bf16_corrected": parameter -> the bits that it lacks, int16; 0 for a parameter without.
        seed: of stochastic rounding. A rounding follows from (seed, index of the parameter, its update, piece).

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
        self._squared_norm = torch.zeros(())
        self._values = eight_bit_values() if moments == "adamw_8bit" else None
        self._index = {parameter: i for i, parameter in enumerate(self._parameters())}
        self._group = {parameter: group for group in self.param_groups for parameter in group["params"]}
        for parameter, correction in (corrections or {}).items():
            self.state[parameter] |= self._new_state(parameter)
            self.state[parameter]["correction"].copy_(correction)
        if in_backward:
            for parameter in self._index:
                parameter.register_post_accumulate_grad_hook(self._update_in_backward)

    def _parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def exact_weight(self, parameter: Tensor) -> Tensor:
        """The float32 that a parameter stands for, in host memory; the parameter itself where it has no correction."""
        correction = self.state.get(parameter, {}).get("correction")
        return parameter.detach() if correction is None else join_float32(parameter.detach().cpu(), correction.cpu())

    @torch.no_grad()
    def step(  # pyright: ignore[reportIncompatibleMethodOverride] (no closure, so no loss)
        self, closure: None = None
    ) -> None:
        """Update every parameter that has a gradient. With `in_backward` none has one any more."""
        assert closure is None
        for parameter in self._parameters():
            if parameter.grad is not None:
                self._update(parameter, parameter.grad)

    @torch.no_grad()
    def _update_in_backward(self, parameter: Tensor) -> None:
        assert isinstance(parameter, nn.Parameter)
        assert parameter.grad is not None
        # Summed on the device: reading the number here would wait for the device at every parameter.
        norm = torch.linalg.vector_norm(parameter.grad, dtype=torch.float32)
        self._squared_norm = self._squared_norm.to(norm.device) + norm**2
        self._update(parameter, parameter.grad)
        parameter.grad = None

    def take_norm(self) -> float:
        """The norm of all gradients of the last backward pass, with `in_backward`. The next call starts from 0."""
        norm = float(self._squared_norm) ** 0.5
        self._squared_norm = torch.zeros(())
        return norm

    def _update(self, parameter: nn.Parameter, gradient: Tensor) -> None:
        """One step of one parameter, piece by piece."""
        state = self.state[parameter]
        if not state:
            state |= self._new_state(parameter)
        state["step"] += 1
        update_number = int(state["step"])
        factors = self._factors(self._group[parameter], update_number)
        device = self._state_device(parameter)
        values = None if self._values is None else {name: table.to(device) for name, table in self._values.items()}
        update_piece = _compiled_update() if device.type == "cuda" else _update_piece
        weights, gradients = parameter.detach().view(-1), gradient.reshape(-1)
        flat_state = {name: tensor.view(-1) for name, tensor in state.items() if name != "step"}
        for start in range(0, parameter.numel(), PIECE):
            end = min(start + PIECE, parameter.numel())
            stored = weights[start:end]
            piece = stored.to(device)
            noise = self._noise(parameter, update_number, start, piece)
            state_piece = _slice_state(flat_state, start, end)
            update_piece(piece, gradients[start:end].to(device), state_piece, noise, factors, values)
            if piece is not stored:
                stored.copy_(piece)

    def _factors(self, group: dict[str, Any], update_number: int) -> tuple[Tensor, ...]:
        """The numbers that the update multiplies with. As tensors: with Python numbers a compiled update would be
        compiled again at every step."""
        beta1, beta2 = group["betas"]
        rate, decay = group["lr"], group["weight_decay"]
        bias1, bias2 = 1 - beta1**update_number, 1 - beta2**update_number
        factors = [1 - beta1, beta2, 1 - beta2, 1 - rate * decay, rate / bias1, bias2**0.5]
        return torch.tensor(factors, dtype=torch.float32).unbind()

    def _state_device(self, parameter: nn.Parameter) -> torch.device:
        """Where a parameter's state is, and where its update runs."""
        return torch.device("cpu") if self.moments == "offloaded" else parameter.device

    def _new_state(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        device = self._state_device(parameter)
        state = {"step": torch.zeros((), dtype=torch.int64)}
        for name in ("exp_avg", "exp_avg_sq"):
            if self._values is not None and parameter.numel() >= SMALL and parameter.numel() % BLOCK == 0:
                zero = int((self._values[name] == 0).nonzero()[0, 0])
                state[name] = torch.full(parameter.shape, zero, dtype=torch.uint8, device=device)
                state[f"{name}_scale"] = torch.zeros(parameter.numel() // BLOCK, device=device)
            else:
                state[name] = torch.zeros(parameter.shape, dtype=torch.float32, device=device)
        if self.weights == "bf16_corrected":
            state["correction"] = torch.zeros(parameter.shape, dtype=torch.int16, device=device)
        return state

    def _noise(self, parameter: nn.Parameter, update_number: int, start: int, piece: Tensor) -> Tensor | None:
        """[n] int32 in [0, 65536) for stochastic rounding; None for the other ways to store weights."""
        if self.weights != "bf16_stochastic":
            return None
        name = f"{self.seed},{self._index[parameter]},{update_number},{start}".encode()
        key = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little") & (2**63 - 1)
        generator = torch.Generator(piece.device).manual_seed(key)
        return torch.randint(0, 1 << 16, piece.shape, dtype=torch.int32, device=piece.device, generator=generator)

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
            if _shapes_and_types(saved) != _shapes_and_types(expected):
                raise ValueError(f"parameter {index} has another shape or was saved in another mode of memory")
            self.state[parameters[index]] = {name: saved[name].to(new.device) for name, new in expected.items()}


def _shapes_and_types(state: dict[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in state.items()}


def _slice_state(flat_state: dict[str, Tensor], start: int, end: int) -> dict[str, Tensor]:
    """The part of the state that belongs to numbers `start` to `end` of a parameter; a scale is for a whole block."""
    return {
        name: tensor[start // BLOCK : end // BLOCK] if name.endswith("_scale") else tensor[start:end]
        for name, tensor in flat_state.items()
    }


def _update_piece(
    weight: Tensor,
    gradient: Tensor,
    state: dict[str, Tensor],
    noise: Tensor | None,
    factors: tuple[Tensor, ...],
    values: dict[str, Tensor] | None,
) -> None:
    """One step of AdamW on flat pieces, in place."""
    gain1, keep2, gain2, keep_weight, rate, root_of_bias2 = factors
    gradient = gradient.float()
    exact = join_float32(weight, state["correction"]) if "correction" in state else weight.float()
    first = read_moment(state, "exp_avg", values)
    second = read_moment(state, "exp_avg_sq", values)
    first = first + (gradient - first) * gain1
    second = second * keep2 + gradient * gradient * gain2
    exact = exact * keep_weight - first / (second.sqrt() / root_of_bias2 + EPSILON) * rate
    write_moment(state, "exp_avg", first, values)
    write_moment(state, "exp_avg_sq", second, values)
    if "correction" in state:
        high, low = split_float32(exact)
        weight.copy_(high)
        state["correction"].copy_(low)
    else:
        weight.copy_(exact if noise is None else round_stochastically(exact, noise))


@functools.cache
def _compiled_update() -> Callable[..., None]:
    """The update as one kernel instead of about forty, for pieces of any size. Only on CUDA: on a CPU compiling takes
    longer than a tiny model trains."""
    return torch.compile(_update_piece, dynamic=True)
