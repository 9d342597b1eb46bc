"""AdamW for cards on which float32 weights with two float32 moments do not fit.

Takes parameters and how weights and moments are kept, gives a `torch.optim.Optimizer` that works through one piece of
one parameter at a time: made float32, updated, put back. Weights: float32; bfloat16 with the 16 bits that are missing
kept beside the moments, which together are float32 exactly; bfloat16 rounded at random. Moments: float32 or 8 bits, on
the parameter's device or in host memory. The update can be made during the backward pass.

Not taken: an optimizer per mode. torchao's 8-bit AdamW knows no correction bits and its offload only CUDA; that of
bitsandbytes rounds bfloat16 weights to nearest, which drops nearly every update at learning rate 1e-6. torchao's 8-bit
numbers are what is used here. Not kept either: `torch.compile` on a CPU, where compiling takes longer than any tiny
model trains.
"""

import functools
import hashlib
from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from harken.errors import ConfigError

Weights = Literal["float32", "bf16_corrected", "bf16_stochastic"]
Moments = Literal["adamw", "adamw_8bit", "offloaded"]

BLOCK = 256
"""Numbers that share a scale in 8 bits."""
PIECE = 2**24
"""Numbers made float32 at once: bounds the update's own memory, about ten times 64 MiB."""
SMALL = 4096
"""Tensors below keep float32 moments in adamw_8bit, as torchao and bitsandbytes do."""
EPSILON = 1e-8


class MemorySavingAdamW(torch.optim.Optimizer):
    """AdamW (arXiv 1711.05101) as `torch.optim.AdamW` computes it, up to float32 rounding.

    Args:
        weights: float32 parameters stay so; the other two take bfloat16 parameters.
        seed: of stochastic rounding; a number depends on (seed, place of the parameter, its update, piece).
        in_backward: update a parameter when its gradient is complete, then drop the gradient. The learning rate of a
            step is set before its backward pass then, by `harken.training.optimizer.set_learning_rate`.

    Raises ConfigError where adamw_8bit is asked for and torchao is not installed.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        lr: float,
        betas: tuple[float, float],
        weight_decay: float,
        weights: Weights,
        moments: Moments,
        in_backward: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(list(parameters), {"lr": lr, "betas": betas, "weight_decay": weight_decay})
        self.weights, self.moments, self.in_backward, self.seed = weights, moments, in_backward, seed
        self._squared_norm = torch.zeros(())
        self._eight = eight_bit() if moments == "adamw_8bit" else None
        self._places = {parameter: i for i, parameter in enumerate(self._parameters())}
        if in_backward:
            for parameter in self._places:
                parameter.register_post_accumulate_grad_hook(self._step_now)

    def _parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    @torch.no_grad()
    def step(  # pyright: ignore[reportIncompatibleMethodOverride] (no closure, so no loss)
        self, closure: None = None
    ) -> None:
        """Update every parameter that has a gradient. Nothing is left to do where it was made in the backward pass."""
        assert closure is None
        for parameter in self._parameters():
            if parameter.grad is not None:
                self._update(parameter, parameter.grad)

    @torch.no_grad()
    def _step_now(self, parameter: Tensor) -> None:
        assert isinstance(parameter, nn.Parameter)
        assert parameter.grad is not None
        # Summed on the device: asking for the number here would wait for the device at every parameter.
        norm = torch.linalg.vector_norm(parameter.grad, dtype=torch.float32)
        self._squared_norm = self._squared_norm.to(norm.device) + norm**2
        self._update(parameter, parameter.grad)
        parameter.grad = None

    def take_norm(self) -> float:
        """Norm of the gradients of the backward pass that was, where the update was made in it; then forgets it."""
        norm = float(self._squared_norm) ** 0.5
        self._squared_norm = torch.zeros(())
        return norm

    def _update(self, parameter: nn.Parameter, gradient: Tensor) -> None:
        (group,) = self.param_groups
        state = self.state[parameter]
        if not state:
            state |= self._new_state(parameter)
        state["step"] += 1
        place, count = self._places[parameter], int(state["step"])
        beta1, beta2 = group["betas"]
        rate, decay = group["lr"], group["weight_decay"]
        # As 0-dimensional tensors: numbers would have a compiled update compiled again at every step.
        factors = torch.tensor(
            [1 - beta1, beta2, 1 - beta2, 1 - rate * decay, rate / (1 - beta1**count), (1 - beta2**count) ** 0.5],
            dtype=torch.float32,
        ).unbind()
        device = self._home(parameter)
        codes = None if self._eight is None else {name: table.to(device) for name, table in self._eight.items()}
        update = _compiled_update() if device.type == "cuda" else _update_piece
        flat_weight, flat_gradient = parameter.detach().view(-1), gradient.reshape(-1)
        kept = {name: values.view(-1) for name, values in state.items() if name != "step"}
        for start in range(0, parameter.numel(), PIECE):
            end = min(start + PIECE, parameter.numel())
            there = flat_weight[start:end]
            here = there.to(device)
            piece = _pieces(kept, start, end)
            noise = self._noise(place, count, start, here)
            update(here, flat_gradient[start:end].to(device), piece, noise, factors, codes)
            if here is not there:
                there.copy_(here)

    def _home(self, parameter: nn.Parameter) -> torch.device:
        """Where a parameter's state is, and its update made."""
        return torch.device("cpu") if self.moments == "offloaded" else parameter.device

    def _new_state(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        device = self._home(parameter)
        state = {"step": torch.zeros((), dtype=torch.int64)}
        for name in ("exp_avg", "exp_avg_sq"):
            if self._eight is not None and parameter.numel() >= SMALL and parameter.numel() % BLOCK == 0:
                zero = int((self._eight[name] == 0).nonzero()[0, 0])
                state[name] = torch.full(parameter.shape, zero, dtype=torch.uint8, device=device)
                state[f"{name}_scale"] = torch.zeros(parameter.numel() // BLOCK, device=device)
            else:
                state[name] = torch.zeros(parameter.shape, dtype=torch.float32, device=device)
        if self.weights == "bf16_corrected":
            state["correction"] = torch.zeros(parameter.shape, dtype=torch.int16, device=device)
        return state

    def _noise(self, place: int, count: int, start: int, like: Tensor) -> Tensor | None:
        """[n] int32 in [0, 65536), or None where nothing is rounded at random."""
        if self.weights != "bf16_stochastic":
            return None
        name = f"{self.seed},{place},{count},{start}".encode()
        key = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little") & (2**63 - 1)
        generator = torch.Generator(like.device).manual_seed(key)
        return torch.randint(0, 1 << 16, like.shape, dtype=torch.int32, device=like.device, generator=generator)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Values as they were saved: the base class would cast them to the parameter's type and device.

        Raises ValueError where they are of other parameters or of another mode.
        """
        parameters = self._parameters()
        groups = state_dict["param_groups"]
        if len(groups) != 1 or groups[0]["params"] != list(range(len(parameters))):
            raise ValueError("saved for another number of parameters")
        self.param_groups[0] |= {name: value for name, value in groups[0].items() if name != "params"}
        self.state.clear()
        for index, values in state_dict["state"].items():
            expected = self._new_state(parameters[index])
            if {name: (v.shape, v.dtype) for name, v in expected.items()} != {
                name: (v.shape, v.dtype) for name, v in values.items()
            }:
                raise ValueError(f"parameter {index} has another shape or was saved in another mode of memory")
            self.state[parameters[index]] = {name: values[name].to(v.device) for name, v in expected.items()}


def eight_bit() -> dict[str, Tensor]:
    """The 256 numbers that a code of each moment stands for, as torchao has them (arXiv 2110.02861)."""
    try:
        from torchao.optim.quant_utils import create_dynamic_map
    except ImportError as error:
        raise ConfigError(
            "memory.optimizer: adamw_8bit needs torchao, which is not installed: pip install 'harken[gpu]'"
        ) from error
    return {
        "exp_avg": torch.tensor(create_dynamic_map(signed=True), dtype=torch.float32),
        "exp_avg_sq": torch.tensor(create_dynamic_map(signed=False), dtype=torch.float32),
    }


def split(weight: Tensor) -> tuple[Tensor, Tensor]:
    """float32 -> (the nearest bfloat16, int16 correction): `join` gives back every bit."""
    bits = weight.view(torch.int32)
    high = (bits + 0x8000) >> 16
    return high.to(torch.int16).view(torch.bfloat16), (bits - (high << 16)).to(torch.int16)


def join(weight: Tensor, correction: Tensor) -> Tensor:
    """bfloat16 and its correction -> float32."""
    return ((weight.view(torch.int16).to(torch.int32) << 16) + correction.to(torch.int32)).view(torch.float32)


def rounded(weight: Tensor, noise: Tensor) -> Tensor:
    """float32 -> bfloat16, away from zero with the probability of the bits that are cut off.

    Args:
        noise: int32, uniform in [0, 65536).
    """
    return ((weight.view(torch.int32) + noise) >> 16).to(torch.int16).view(torch.bfloat16)


def _pieces(kept: dict[str, Tensor], start: int, end: int) -> dict[str, Tensor]:
    return {
        name: values[start // BLOCK : end // BLOCK] if name.endswith("_scale") else values[start:end]
        for name, values in kept.items()
    }


def _update_piece(
    weight: Tensor,
    gradient: Tensor,
    kept: dict[str, Tensor],
    noise: Tensor | None,
    factors: tuple[Tensor, ...],
    codes: dict[str, Tensor] | None,
) -> None:
    """One step of AdamW on flat pieces, in place."""
    gain1, keep2, gain2, keep_weight, rate, correction2 = factors
    gradient = gradient.float()
    value = join(weight, kept["correction"]) if "correction" in kept else weight.float()
    first = _read(kept, "exp_avg", codes)
    second = _read(kept, "exp_avg_sq", codes)
    first = first + (gradient - first) * gain1
    second = second * keep2 + gradient * gradient * gain2
    value = value * keep_weight - first / (second.sqrt() / correction2 + EPSILON) * rate
    _write(kept, "exp_avg", first, codes)
    _write(kept, "exp_avg_sq", second, codes)
    if "correction" in kept:
        high, low = split(value)
        weight.copy_(high)
        kept["correction"].copy_(low)
    else:
        weight.copy_(value if noise is None else rounded(value, noise))


@functools.cache
def _compiled_update():
    """One kernel in the place of about forty; the sizes of pieces differ, so they are no part of it."""
    return torch.compile(_update_piece, dynamic=True)


def _read(kept: dict[str, Tensor], name: str, codes: dict[str, Tensor] | None) -> Tensor:
    if codes is None or f"{name}_scale" not in kept:
        return kept[name]
    from torchao.optim.quant_utils import dequant_with_qmap

    return dequant_with_qmap(kept[name], codes[name], kept[f"{name}_scale"])


def _write(kept: dict[str, Tensor], name: str, values: Tensor, codes: dict[str, Tensor] | None) -> None:
    if codes is None or f"{name}_scale" not in kept:
        kept[name].copy_(values)
        return
    from torchao.optim.quant_utils import quantize_8bit_with_qmap, scale_tensor

    scaled, scale = scale_tensor(values, BLOCK)
    kept[name].copy_(quantize_8bit_with_qmap(scaled, codes[name]))
    kept[f"{name}_scale"].copy_(scale)
